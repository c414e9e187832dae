/* Opening a backend from a table, as the registry and the tests' altered tables do. */
#ifndef CRS_REGISTRY_H
#define CRS_REGISTRY_H

#include <carousel/backend.h>

/* The table is not copied, and must outlive the backend. note: why this one was chosen, or NULL. */
crs_status crs__backend_open_ops(const crs_ops *ops, const crs_device_options *options, const char *note,
                                 crs_backend **backend, crs_error *error);

#endif
