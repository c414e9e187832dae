/* Trains in-process from texts in memory, saves, loads and predicts, with nothing but the public header. */
#include <carousel/carousel.h>
#include <stdio.h>
#include <string.h>

#define CHECK(call)                                                                                                    \
    do {                                                                                                               \
        if ((call) != CRS_OK) {                                                                                        \
            char text[1024];                                                                                           \
            fprintf(stderr, "%s: %s\n", #call, crs_error_text(&error, text, sizeof text));                             \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

int main(int argc, char **argv) {
    const char *const good[] = {"warm sun", "a kind word", "warm bread", "kind sun", "a warm word"};
    const char *const bad[] = {"cold rain", "a harsh word", "cold soup", "harsh rain", "a cold word"};
    crs_error error = {.offset = -1};
    crs_config config;
    crs_config_init(&config);
    CHECK(crs_config_set(&config, "model", "embedding 8 | lstm 8 | dense", &error));
    CHECK(crs_config_set(&config, "epochs", "60", &error));
    CHECK(crs_config_set(&config, "learning-rate", "0.02", &error));
    crs_dataset_builder *builder;
    CHECK(crs_dataset_builder_create(&config, NULL, &builder));
    for (int i = 0; i < 5; i++) {
        CHECK(crs_dataset_builder_add(builder, good[i], strlen(good[i]), "good", 4, &error));
        CHECK(crs_dataset_builder_add(builder, bad[i], strlen(bad[i]), "bad", 3, &error));
    }
    crs_encoder *encoder;
    crs_dataset *data;
    crs_backend *backend;
    crs_classifier *classifier, *loaded;
    crs_history history;
    CHECK(crs_dataset_builder_finish(builder, &encoder, &data, &error));
    CHECK(crs_backend_open("cpu", NULL, &backend, &error));
    CHECK(crs_classifier_create(&config, encoder, backend, &classifier, &error));
    CHECK(crs_train(classifier->model, &config, data, NULL, 0, NULL, NULL, 0, NULL, &history, &error));
    if (argc != 2)
        return 2;
    CHECK(crs_classifier_save(classifier, argv[1], 0, &error));
    CHECK(crs_classifier_load(argv[1], backend, &loaded, &error));
    const char *const texts[] = {"kind bread", "harsh soup"};
    float probabilities[4];
    CHECK(crs_classifier_predict(loaded, texts, 2, probabilities, NULL, &error));
    printf("carousel %s: %s %.3f, %s %.3f\n", crs_version(), crs_encoder_label(loaded->encoder, 1), probabilities[1],
           crs_encoder_label(loaded->encoder, 0), probabilities[2]);
    int right = probabilities[1] > 0.5F && probabilities[2] > 0.5F;
    crs_history_clear(&history);
    crs_classifier_free(loaded);
    crs_classifier_free(classifier);
    crs_dataset_free(data);
    crs_backend_close(backend);
    return right ? 0 : 1;
}
