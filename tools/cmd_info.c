/* carousel info: what this build is and can run on. */
#include "command.h"

#include <archive.h>
#include <csv.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <utf8proc.h>

int run_info(invocation *in) {
    json_t *backends = json_array();
    const crs_device_options options = crs_config_device(&in->config);
    if (!in->extras.json)
        printf("carousel %s\n\nbackends\n", crs_version());
    for (size_t i = 0; crs_backend_name(i); i++) {
        crs_backend *backend = NULL;
        crs_error error;
        crs_status status = crs_backend_open(crs_backend_name(i), &options, &backend, &error);
        const char *text = status == CRS_OK ? crs_backend_describe(backend) : error.what;
        if (in->extras.json)
            json_array_append_new(backends, json_pack("{s:s, s:b, s:s}", "name", crs_backend_name(i), "usable",
                                                      status == CRS_OK, "description", text));
        else
            printf("  %-12s %s%s\n", crs_backend_name(i), status == CRS_OK ? "" : "not usable: ", text);
        crs_backend_close(backend);
    }
    char csv_version[32];
    snprintf(csv_version, sizeof csv_version, "%d.%d.%d", CSV_MAJOR, CSV_MINOR, CSV_RELEASE);
    json_t *libraries =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "libcsv", csv_version, "libarchive", archive_version_details(),
                  "utf8proc", utf8proc_version(), "jansson", jansson_version_str(), "glibc", gnu_get_libc_version());
    if (in->extras.json)
        return print_json(
            json_pack("{s:s, s:o, s:o}", "carousel", crs_version(), "backends", backends, "libraries", libraries));
    puts("\nlibraries");
    const char *name;
    json_t *version;
    json_object_foreach (libraries, name, version)
        printf("  %-12s %s\n", name, json_string_value(version));
    json_decref(libraries);
    json_decref(backends);
    return EXIT_DONE;
}
