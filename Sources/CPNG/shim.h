#ifndef PRIME_CPNG_SHIM_H
#define PRIME_CPNG_SHIM_H

#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * libpng's simplified API, which reports errors by return value and never jumps out of a call. Every function below
 * returns 0, a negative errno, or one of these.
 */
enum cpng_failure {
  CPNG_NOT_PNG = 1, /* the file does not begin as a PNG does */
  CPNG_DAMAGED = 2, /* libpng cannot decode it; the message says why */
  CPNG_TOO_LARGE = 3, /* wider or higher than the caller takes */
};

enum { CPNG_MESSAGE_SIZE = sizeof(((png_image *)0)->message) };

/* What is known of a file beside its pixels. */
struct cpng_status {
  uint32_t width;
  uint32_t height;
  char message[CPNG_MESSAGE_SIZE];
};

/* A file that is being read. It lies on the heap because libpng keeps the address of the image. */
struct cpng_reader {
  FILE *file;
  png_image image;
};

static inline void cpng_read_end(struct cpng_reader *reader) {
  png_image_free(&reader->image);
  if (reader->file != NULL) fclose(reader->file);
  free(reader);
}

/* The errno of a failed call of stdio; some failures leave none. */
static inline int cpng_errno(void) { return errno != 0 ? -errno : -EIO; }

static inline int cpng_read_failed(struct cpng_reader *reader, struct cpng_status *status, int code) {
  memcpy(status->message, reader->image.message, sizeof(status->message));
  cpng_read_end(reader);
  return code;
}

/*
 * Opens a file and reads what its header says, and takes no more than a number of pixels in each direction and in all: a
 * file of a few kilobytes may claim gigabytes. Only after 0 is there a reader, which cpng_read_finish takes.
 */
static inline int cpng_read_begin(
    const char *path, uint32_t side, uint64_t pixels, struct cpng_reader **result, struct cpng_status *status) {
  unsigned char signature[8];
  memset(status, 0, sizeof(*status));
  struct cpng_reader *reader = (struct cpng_reader *)calloc(1, sizeof(*reader));
  if (reader == NULL) return -ENOMEM;
  reader->image.version = PNG_IMAGE_VERSION;
  errno = 0;
  reader->file = fopen(path, "rbe");
  if (reader->file == NULL) return cpng_read_failed(reader, status, cpng_errno());
  size_t count = fread(signature, 1, sizeof(signature), reader->file);
  if (ferror(reader->file)) return cpng_read_failed(reader, status, cpng_errno());
  if (count < sizeof(signature) || png_sig_cmp(signature, 0, sizeof(signature)) != 0)
    return cpng_read_failed(reader, status, CPNG_NOT_PNG);
  if (fseek(reader->file, 0, SEEK_SET) != 0) return cpng_read_failed(reader, status, cpng_errno());
  if (!png_image_begin_read_from_stdio(&reader->image, reader->file))
    return cpng_read_failed(reader, status, ferror(reader->file) ? cpng_errno() : CPNG_DAMAGED);
  status->width = reader->image.width;
  status->height = reader->image.height;
  if (status->width > side || status->height > side || (uint64_t)status->width * status->height > pixels)
    return cpng_read_failed(reader, status, CPNG_TOO_LARGE);
  *result = reader;
  return 0;
}

/* Reads width * height pixels, which are 0xAARRGGBB with alpha not multiplied in, and takes the reader in any case. */
static inline int cpng_read_finish(struct cpng_reader *reader, uint32_t *pixels, struct cpng_status *status) {
  reader->image.format = PNG_FORMAT_BGRA;
  errno = 0;
  if (!png_image_finish_read(&reader->image, NULL, pixels, 0, NULL))
    return cpng_read_failed(reader, status, ferror(reader->file) ? cpng_errno() : CPNG_DAMAGED);
  cpng_read_end(reader);
  return 0;
}

/*
 * Writes an image of three bytes a pixel to a descriptor, which it closes in any case, and waits until the bytes are on
 * the disk.
 */
static inline int cpng_write(
    int fd, const unsigned char *pixels, uint32_t width, uint32_t height, struct cpng_status *status) {
  png_image image;
  memset(&image, 0, sizeof(image));
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGB;
  memset(status, 0, sizeof(*status));
  errno = 0;
  FILE *file = fdopen(fd, "wb");
  if (file == NULL) {
    int code = cpng_errno();
    close(fd);
    return code;
  }
  int code = 0;
  if (!png_image_write_to_stdio(&image, file, 0, pixels, 0, NULL)) {
    code = ferror(file) || errno != 0 ? cpng_errno() : CPNG_DAMAGED;
    memcpy(status->message, image.message, sizeof(image.message));
  }
  if (code == 0 && fflush(file) != 0) code = cpng_errno();
  /* Some file systems have nothing to wait for and say so. */
  if (code == 0 && fsync(fileno(file)) != 0 && errno != EINVAL && errno != ENOTSUP && errno != ENOSYS)
    code = cpng_errno();
  if (fclose(file) != 0 && code == 0) code = cpng_errno();
  return code;
}

#endif
