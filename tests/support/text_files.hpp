// Files and folders that live as long as a test, and rows read from them. Says nothing about what is right.
#ifndef CRS_TEST_TEXT_FILES_H
#define CRS_TEST_TEXT_FILES_H

#include <carousel/dataset.h>

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace crs_test {

class Folder {
  public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "carousel-text-XXXXXX").string();
        path_ = mkdtemp(name.data()) ? name : "";
        EXPECT_NE(path_, "");
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;

    std::string at(const std::string &name) const {
        return path_ + "/" + name;
    }
    // Writes bytes as they are; folders on the way are made.
    std::string write(const std::string &name, const std::string &bytes) const {
        std::filesystem::create_directories(std::filesystem::path(at(name)).parent_path());
        std::ofstream(at(name), std::ios::binary) << bytes;
        return at(name);
    }
    // Writes bytes compressed by one of libarchive's filters: "bzip2", "gzip", "xz", "zstd".
    std::string pack(const std::string &name, const std::string &filter, const std::string &bytes) const {
        struct archive *out = archive_write_new();
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_pathname(entry, "text");
        archive_write_set_format_raw(out);
        EXPECT_EQ(archive_write_add_filter_by_name(out, filter.c_str()), ARCHIVE_OK);
        EXPECT_EQ(archive_write_open_filename(out, at(name).c_str()), ARCHIVE_OK);
        EXPECT_EQ(archive_write_header(out, entry), ARCHIVE_OK);
        EXPECT_EQ(archive_write_data(out, bytes.data(), bytes.size()), static_cast<la_ssize_t>(bytes.size()));
        EXPECT_EQ(archive_write_close(out), ARCHIVE_OK);
        archive_entry_free(entry);
        archive_write_free(out);
        return at(name);
    }
    std::string read(const std::string &name) const {
        std::ifstream in(at(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    }

  private:
    std::string path_;
};

struct Row {
    std::string label, text;
    int64_t line;
    bool operator==(const Row &other) const {
        return label == other.label && text == other.text && line == other.line;
    }
};

inline std::ostream &operator<<(std::ostream &out, const Row &row) {
    return out << "{" << row.label << " | " << row.text << " | " << row.line << "}";
}

// All that came of reading a file: the rows up to its end or up to the error.
struct Reading {
    std::vector<Row> rows;
    crs_status status = CRS_OK;
    crs_error error = {};
    std::string note, first_skipped;
    int64_t skipped = 0;
};

inline crs_config config_of(int format = CRS_FORMAT_AUTO) {
    crs_config config;
    crs_config_init(&config);
    config.format = format;
    return config;
}

inline Reading read_rows(const std::string &path, const crs_config &config) {
    Reading reading;
    crs_reader *reader;
    reading.status = crs_reader_open(path.c_str(), &config, &reader, &reading.error);
    if (reading.status != CRS_OK)
        return reading;
    for (int end = 0; !end;) {
        crs_row row = {};
        reading.status = crs_reader_next(reader, &row, &end, &reading.error);
        if (reading.status != CRS_OK)
            break;
        if (!end)
            reading.rows.push_back({std::string(row.label ? row.label : "", row.label_size),
                                    std::string(row.text, row.text_size), row.line});
    }
    reading.note = crs_reader_note(reader);
    reading.skipped = crs_reader_skipped(reader);
    char text[1024];
    if (const crs_error *first = crs_reader_first_skipped(reader))
        reading.first_skipped = crs_error_text(first, text, sizeof text);
    crs_reader_close(reader);
    return reading;
}

// An error that says where, what and the mend. `what` is a part of its text.
inline void expect_error(const crs_error &error, crs_status status, crs_status wanted, int64_t line,
                         const std::string &what) {
    EXPECT_EQ(status, wanted) << crs_status_name(status) << ": " << error.what;
    EXPECT_EQ(error.status, wanted);
    EXPECT_EQ(error.line, line) << error.what;
    EXPECT_NE(std::string(error.what).find(what), std::string::npos) << error.what;
    EXPECT_NE(std::string(error.mend), "");
    EXPECT_NE(std::string(error.file), "");
}

} // namespace crs_test

#endif
