/* Reading an experiment file by inih: sections and their keys, each with its line. inih splits the lines; the function
 * that hands them to it sees to what inih passes over in silence: long lines, NUL bytes, sections that stand twice. */
#include "experiment.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { MOST_SECTIONS = 1000, MOST_ENTRIES = 200 };

typedef struct reading {
    experiment_file *file;
    FILE *stream;
    int64_t line;
    int continues; /* the line is indented: it belongs to the value above */
    crs_error *error;
    crs_status status;
} reading;

static int reject(reading *r, const char *mend, const char *what, const char *detail) {
    if (r->status == CRS_OK)
        r->status = describe(r->error, CRS_ERR_FORMAT, r->file->path, r->line, mend, what, detail);
    return 0;
}

static experiment_section *last_section(const experiment_file *file) {
    return file->count > 0 ? &file->sections[file->count - 1] : NULL;
}

static int is_valid_utf8(const char *text) {
    utf8proc_int32_t point;
    for (utf8proc_ssize_t n; *text; text += n)
        if ((n = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &point)) <= 0 || point < 0)
            return 0;
    return 1;
}

/* "[name]" at the beginning of a line, until inih sees it: a new section. */
static int add_section(reading *r, const char *line) {
    experiment_file *file = r->file;
    const char *end = strchr(line, ']');
    const size_t size = end ? (size_t)(end - line - 1) : 0;
    const char *rest = end ? end + 1 + strspn(end + 1, " \t\r\n") : "";
    if (!end)
        return reject(r, "write [name]", "the section's name has no closing bracket%s", "");
    if (*rest && *rest != ';')
        return reject(r, "begin a new line behind the bracket", "text behind the section's name%s", "");
    if (size == 0 || size >= LONGEST_NAME)
        return reject(r, "give it a name of 1 to 47 bytes", "the section's name is empty or too long%s", "");
    if (file->count >= MOST_SECTIONS)
        return reject(r, "make several files of it", "more than 1000 sections%s", "");
    char name[LONGEST_NAME];
    snprintf(name, sizeof name, "%.*s", (int)size, line + 1);
    /* The name is a folder's too. */
    if (strchr(name, '/') || name[0] == '.' || name[0] == ' ')
        return reject(r, "the name becomes a folder's: no '/' in it, and no '.' or space before it",
                      "the section cannot be named '%s'", name);
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->sections[i].name, name) == 0)
            return reject(r, "give each section a name of its own", "there is a section [%s] already", name);
    experiment_section *grown = realloc(file->sections, (file->count + 1) * sizeof *grown);
    if (!grown)
        return reject(r, "free some memory", "out of memory%s", "");
    file->sections = grown;
    experiment_section *section = &grown[file->count++];
    *section = (experiment_section){.line = r->line};
    memcpy(section->name, name, sizeof name);
    return 1;
}

/* Looks at a line of `size` bytes before inih does; 0: it is wrong, and that is told. */
static int check_line(reading *r, char *line, size_t size, int cut) {
    const char *start = line + strspn(line, " \t");
    const int indented = start > line;
    if (r->line == 1 && strncmp(line, "\xEF\xBB\xBF", 3) == 0)
        start = line + 3;
    if (strlen(line) < size)
        return reject(r, "give a text file", "a NUL byte%s", "");
    if (cut)
        return reject(r, "go on in the next line, indented", "the line is too long%s", "");
    for (const char *at = start; *at; at++)
        if (((unsigned char)*at < 0x20 && !strchr("\t\r\n", *at)) || *at == 0x7f || (*at == '\r' && at[1] != '\n'))
            return reject(r, "give a text file", "a control character%s", "");
    if (!is_valid_utf8(line))
        return reject(r, "save the file as UTF-8", "not UTF-8%s", "");
    r->continues = indented;
    if (*start == '[' && indented)
        return reject(r, "begin it at the beginning of the line", "a section's name is indented%s", "");
    if (*start == '[')
        return add_section(r, start);
    /* inih takes comments off the end of a key's first line, in some versions also of the lines after it. */
    char *comment = indented ? strstr(line, " ;") : NULL;
    if (comment)
        *comment = '\0';
    return 1;
}

/* The reader that inih calls as it would call fgets. */
static char *next_line(char *line, int room, void *user) {
    reading *r = user;
    int size = 0, byte = EOF;
    if (r->status != CRS_OK)
        return NULL;
    while (size + 1 < room && (byte = getc(r->stream)) != EOF) {
        line[size++] = (char)byte;
        if (byte == '\n')
            break;
    }
    if (ferror(r->stream)) {
        r->status = describe(r->error, CRS_ERR_IO, r->file->path, 0, "give a file that can be read",
                             "cannot be read: %s", strerror(errno));
        return NULL;
    }
    if (size == 0)
        return NULL;
    line[size] = '\0';
    r->line++;
    return check_line(r, line, (size_t)size, byte != '\n' && byte != EOF) ? line : NULL;
}

/* Joins a value and the line that goes on with it. */
static int append(reading *r, experiment_entry *entry, const char *value) {
    const char *equals = strchr(value, '=');
    const size_t used = strlen(entry->value), size = strlen(value);
    char word[LONGEST_NAME];
    if (equals && sscanf(value, "%47[a-z0-9.-]", word) == 1 &&
        value[strlen(word) + strspn(value + strlen(word), " ")] == '=')
        return reject(r, "begin it at the beginning of the line",
                      "'%s' is indented, so that it would go on with the value above", word);
    if (used + size + 2 > sizeof entry->value)
        return reject(r, "say it in 4095 bytes", "the value of '%s' is too long", entry->key);
    snprintf(entry->value + used, sizeof entry->value - used, "%s%s", used > 0 ? " " : "", value);
    return 1;
}

static int on_entry(void *user, const char *section_name, const char *key, const char *value) {
    reading *r = user;
    (void)section_name; /* cut where it is long; the reader knows it whole */
    experiment_section *section = last_section(r->file);
    if (r->status != CRS_OK)
        return 0;
    if (!section)
        return reject(r, "put [defaults] or a row's [name] above it", "'%s' stands before the first section", key);
    if (r->continues && section->count > 0)
        return append(r, &section->entries[section->count - 1], value);
    if (strlen(key) >= LONGEST_NAME - 1)
        return reject(r, "'carousel train --help' lists the settings", "there is no setting '%s'", key);
    const experiment_entry *former = experiment_entry_find(section, key);
    if (former)
        return reject(r, "keep one of them", "'%s' is given twice in this section", key);
    experiment_entry *grown =
        section->count < MOST_ENTRIES ? realloc(section->entries, (section->count + 1) * sizeof *grown) : NULL;
    if (!grown)
        return reject(r, "leave some out", "too many settings in this section%s", "");
    section->entries = grown;
    experiment_entry *entry = &grown[section->count++];
    *entry = (experiment_entry){.line = r->line};
    snprintf(entry->key, sizeof entry->key, "%s", key);
    snprintf(entry->value, sizeof entry->value, "%s", value);
    return 1;
}

const experiment_entry *experiment_entry_find(const experiment_section *section, const char *key) {
    for (size_t i = 0; section && i < section->count; i++)
        if (strcmp(section->entries[i].key, key) == 0)
            return &section->entries[i];
    return NULL;
}

crs_status experiment_file_read(const char *path, experiment_file *file, crs_error *error) {
    *file = (experiment_file){.path = path};
    reading r = {.file = file, .error = error, .stream = fopen(path, "rb")};
    if (!r.stream)
        return describe(error, CRS_ERR_IO, path, 0, "give an experiment file (.ini)", "cannot be opened: %s",
                        strerror(errno));
    const int wrong = ini_parse_stream(next_line, &r, on_entry, &r);
    fclose(r.stream);
    if (r.status == CRS_OK && wrong != 0)
        r.status = describe(error, CRS_ERR_FORMAT, path, wrong > 0 ? wrong : 0, "write [section], or key = value",
                            "neither a section nor a key with its value");
    if (r.status == CRS_OK && file->count == 0)
        r.status = describe(error, CRS_ERR_FORMAT, path, 0, "write a section for each row, [name], and keys below it",
                            "has no section");
    if (r.status != CRS_OK)
        experiment_file_clear(file);
    return r.status;
}

void experiment_file_clear(experiment_file *file) {
    for (size_t i = 0; i < file->count; i++)
        free(file->sections[i].entries);
    free(file->sections);
    *file = (experiment_file){0};
}
