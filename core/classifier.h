/* What making a new classifier and loading one share. */
#ifndef CRS_CLASSIFIER_H
#define CRS_CLASSIFIER_H

#include "network.h"

#include <carousel/classifier.h>

/* crs_classifier_create, with weights drawn only where asked. */
crs_status crs__classifier_make(const crs_config *config, crs_encoder *encoder, crs_backend *backend, int initialise,
                                crs_classifier **classifier, crs_error *error);

#endif
