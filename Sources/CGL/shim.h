#ifndef PRIME_CGL_SHIM_H
#define PRIME_CGL_SHIM_H

/*
 * EGL on a GBM device and OpenGL ES 3: reading a dma-buf by a shader, and drawing into one. The functions answer 0, or the
 * code of EGL's or GL's error with the call's name in `operation`.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without X's headers, which nobody here needs. */
#define EGL_NO_X11
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <GLES3/gl3.h>
#include <GLES2/gl2ext.h>

typedef struct {
  EGLDisplay display;
  EGLContext context;
  const char *operation;
  PFNEGLCREATEIMAGEKHRPROC create_image;
  PFNEGLDESTROYIMAGEKHRPROC destroy_image;
  PFNGLEGLIMAGETARGETTEXTURE2DOESPROC target_texture;
  int has_modifiers;
} cgl_context;

/* What was imported, and what is drawn with. */
typedef struct {
  EGLImageKHR image;
  GLuint texture;
  GLenum target;
  GLuint program;
} cgl_picture;

static inline uint32_t cgl_failed_egl(cgl_context *context, const char *operation) {
  context->operation = operation;
  EGLint code = eglGetError();
  return code == EGL_SUCCESS ? EGL_BAD_ACCESS : (uint32_t)code;
}

/* 0 where GL has no error to tell. */
static inline uint32_t cgl_failed_gl(cgl_context *context, const char *operation) {
  GLenum code = glGetError();
  if (code != GL_NO_ERROR)
    context->operation = operation;
  return code;
}

static inline int cgl_lists(const char *extensions, const char *name) {
  size_t length = strlen(name);
  for (const char *at = extensions; at != NULL && (at = strstr(at, name)) != NULL; at += length)
    if ((at == extensions || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
      return 1;
  return 0;
}

static inline uint32_t cgl_lacks(cgl_context *context, const char *name) {
  context->operation = name;
  return EGL_BAD_MATCH;
}

/* gbm is a struct gbm_device *, which outlives the context. */
static inline uint32_t cgl_open(cgl_context *context, void *gbm) {
  memset(context, 0, sizeof *context);
  context->display = eglGetPlatformDisplay(EGL_PLATFORM_GBM_KHR, gbm, NULL);
  if (context->display == EGL_NO_DISPLAY)
    return cgl_failed_egl(context, "eglGetPlatformDisplay");
  if (!eglInitialize(context->display, NULL, NULL))
    return cgl_failed_egl(context, "eglInitialize");
  const char *extensions = eglQueryString(context->display, EGL_EXTENSIONS);
  if (!cgl_lists(extensions, "EGL_EXT_image_dma_buf_import"))
    return cgl_lacks(context, "EGL_EXT_image_dma_buf_import");
  if (!cgl_lists(extensions, "EGL_KHR_surfaceless_context"))
    return cgl_lacks(context, "EGL_KHR_surfaceless_context");
  context->has_modifiers = cgl_lists(extensions, "EGL_EXT_image_dma_buf_import_modifiers");
  if (!eglBindAPI(EGL_OPENGL_ES_API))
    return cgl_failed_egl(context, "eglBindAPI");
  static const EGLint attributes[] = {EGL_CONTEXT_CLIENT_VERSION, 3, EGL_NONE};
  context->context = eglCreateContext(context->display, EGL_NO_CONFIG_KHR, EGL_NO_CONTEXT, attributes);
  if (context->context == EGL_NO_CONTEXT)
    return cgl_failed_egl(context, "eglCreateContext");
  if (!eglMakeCurrent(context->display, EGL_NO_SURFACE, EGL_NO_SURFACE, context->context))
    return cgl_failed_egl(context, "eglMakeCurrent");
  context->create_image = (PFNEGLCREATEIMAGEKHRPROC)(void *)eglGetProcAddress("eglCreateImageKHR");
  context->destroy_image = (PFNEGLDESTROYIMAGEKHRPROC)(void *)eglGetProcAddress("eglDestroyImageKHR");
  context->target_texture =
      (PFNGLEGLIMAGETARGETTEXTURE2DOESPROC)(void *)eglGetProcAddress("glEGLImageTargetTexture2DOES");
  if (context->create_image == NULL || context->destroy_image == NULL)
    return cgl_lacks(context, "eglCreateImageKHR");
  if (context->target_texture == NULL)
    return cgl_lacks(context, "glEGLImageTargetTexture2DOES");
  return 0;
}

static inline void cgl_close(cgl_context *context) {
  if (context->display == NULL)
    return;
  eglMakeCurrent(context->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
  if (context->context != NULL)
    eglDestroyContext(context->display, context->context);
  eglTerminate(context->display);
  context->display = NULL;
}

static inline const char *cgl_renderer(void) { return (const char *)glGetString(GL_RENDERER); }

static inline GLuint cgl_shader(GLenum kind, const char *head, const char *body) {
  const char *text[] = {"#version 100\n", head, body};
  GLuint shader = glCreateShader(kind);
  glShaderSource(shader, 3, text, NULL);
  glCompileShader(shader);
  return shader;
}

/* One pixel to one pixel. */
static inline uint32_t cgl_program(cgl_context *context, int is_external, GLuint *program) {
  char body[512];
  snprintf(
      body, sizeof body,
      "precision highp float;\nuniform %s picture;\nuniform highp vec2 size;\n"
      "void main() { gl_FragColor = texture2D(picture, gl_FragCoord.xy / size); }\n",
      is_external ? "samplerExternalOES" : "sampler2D");
  GLuint vertex = cgl_shader(
      GL_VERTEX_SHADER, "", "attribute vec2 corner;\nvoid main() { gl_Position = vec4(corner, 0.0, 1.0); }\n");
  GLuint fragment = cgl_shader(
      GL_FRAGMENT_SHADER, is_external ? "#extension GL_OES_EGL_image_external : require\n" : "", body);
  *program = glCreateProgram();
  glAttachShader(*program, vertex);
  glAttachShader(*program, fragment);
  glBindAttribLocation(*program, 0, "corner");
  glLinkProgram(*program);
  glDeleteShader(vertex);
  glDeleteShader(fragment);
  GLint linked = 0;
  glGetProgramiv(*program, GL_LINK_STATUS, &linked);
  if (linked)
    return cgl_failed_gl(context, "glLinkProgram");
  context->operation = "glLinkProgram";
  return GL_INVALID_OPERATION;
}

/* A dma-buf as a texture: of the kind that can be drawn into, or of the kind that any layout may be sampled by. */
static inline uint32_t cgl_import(
    cgl_context *context, cgl_picture *picture, int dma_buf, uint32_t width, uint32_t height, uint32_t fourcc,
    uint32_t offset, uint32_t pitch, uint64_t modifier, int is_explicit, int is_drawn) {
  EGLint attributes[] = {
      EGL_WIDTH, (EGLint)width, EGL_HEIGHT, (EGLint)height, EGL_LINUX_DRM_FOURCC_EXT, (EGLint)fourcc,
      EGL_DMA_BUF_PLANE0_FD_EXT, dma_buf, EGL_DMA_BUF_PLANE0_OFFSET_EXT, (EGLint)offset,
      EGL_DMA_BUF_PLANE0_PITCH_EXT, (EGLint)pitch, EGL_NONE, 0, EGL_NONE, 0, EGL_NONE};
  if (is_explicit && context->has_modifiers) {
    attributes[12] = EGL_DMA_BUF_PLANE0_MODIFIER_LO_EXT;
    attributes[13] = (EGLint)(modifier & 0xffffffff);
    attributes[14] = EGL_DMA_BUF_PLANE0_MODIFIER_HI_EXT;
    attributes[15] = (EGLint)(modifier >> 32);
  }
  memset(picture, 0, sizeof *picture);
  picture->image =
      context->create_image(context->display, EGL_NO_CONTEXT, EGL_LINUX_DMA_BUF_EXT, NULL, attributes);
  if (picture->image == EGL_NO_IMAGE_KHR)
    return cgl_failed_egl(context, "eglCreateImageKHR");
  picture->target = is_drawn ? GL_TEXTURE_2D : GL_TEXTURE_EXTERNAL_OES;
  glGenTextures(1, &picture->texture);
  glBindTexture(picture->target, picture->texture);
  context->target_texture(picture->target, picture->image);
  uint32_t failure = cgl_failed_gl(context, "glEGLImageTargetTexture2DOES");
  return failure != 0 ? failure : cgl_program(context, !is_drawn, &picture->program);
}

static inline void cgl_forget(cgl_context *context, cgl_picture *picture) {
  glDeleteTextures(1, &picture->texture);
  glDeleteProgram(picture->program);
  if (picture->image != NULL)
    context->destroy_image(context->display, picture->image);
  memset(picture, 0, sizeof *picture);
}

static inline void cgl_sample_exactly(GLenum target) {
  glTexParameteri(target, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
  glTexParameteri(target, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
  glTexParameteri(target, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
  glTexParameteri(target, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
}

/* Draws `source` over all of the bound framebuffer. */
static inline uint32_t cgl_cover(
    cgl_context *context, GLuint program, GLenum target, GLuint source, uint32_t width, uint32_t height) {
  static const GLfloat corners[] = {-1, -1, 3, -1, -1, 3};
  if (glCheckFramebufferStatus(GL_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE) {
    context->operation = "glCheckFramebufferStatus";
    return GL_INVALID_FRAMEBUFFER_OPERATION;
  }
  glViewport(0, 0, (GLsizei)width, (GLsizei)height);
  glDisable(GL_BLEND);
  glDisable(GL_DITHER);
  glUseProgram(program);
  glUniform1i(glGetUniformLocation(program, "picture"), 0);
  glUniform2f(glGetUniformLocation(program, "size"), (GLfloat)width, (GLfloat)height);
  glActiveTexture(GL_TEXTURE0);
  glBindTexture(target, source);
  cgl_sample_exactly(target);
  glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, corners);
  glEnableVertexAttribArray(0);
  glDrawArrays(GL_TRIANGLES, 0, 3);
  return cgl_failed_gl(context, "glDrawArrays");
}

/* A texture of the program's own in a framebuffer object. */
static inline void cgl_attach(GLuint texture, GLuint *framebuffer) {
  glGenFramebuffers(1, framebuffer);
  glBindFramebuffer(GL_FRAMEBUFFER, *framebuffer);
  glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture, 0);
}

static inline uint32_t cgl_lacks_memory(cgl_context *context) {
  context->operation = "malloc";
  return GL_OUT_OF_MEMORY;
}

/* A row of four bytes a pixel, with red and blue exchanged where they are turned. */
static inline void cgl_copy_row(uint8_t *to, const uint8_t *from, size_t width, int is_turned) {
  for (size_t at = 0; at < width * 4; at += 4) {
    to[at] = from[at + (is_turned ? 2 : 0)];
    to[at + 1] = from[at + 1];
    to[at + 2] = from[at + (is_turned ? 0 : 2)];
    to[at + 3] = from[at + 3];
  }
}

/* Draws the picture into a framebuffer of the program's own and reads that into memory: four bytes a pixel, row by row. */
static inline uint32_t cgl_look(
    cgl_context *context, const cgl_picture *picture, uint32_t width, uint32_t height, int is_turned, void *memory,
    size_t offset, size_t pitch) {
  size_t row = (size_t)width * 4;
  uint8_t *pixels = malloc(row * height);
  if (pixels == NULL) {
    context->operation = "malloc";
    return GL_OUT_OF_MEMORY;
  }
  GLuint target, framebuffer;
  glGenTextures(1, &target);
  glBindTexture(GL_TEXTURE_2D, target);
  glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, (GLsizei)width, (GLsizei)height, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
  cgl_attach(target, &framebuffer);
  uint32_t failure = cgl_cover(context, picture->program, picture->target, picture->texture, width, height);
  if (failure == 0) {
    glPixelStorei(GL_PACK_ALIGNMENT, 1);
    glReadPixels(0, 0, (GLsizei)width, (GLsizei)height, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
    failure = cgl_failed_gl(context, "glReadPixels");
  }
  for (size_t y = 0; failure == 0 && y < height; y++)
    cgl_copy_row((uint8_t *)memory + offset + y * pitch, pixels + y * row, width, is_turned);
  free(pixels);
  glDeleteFramebuffers(1, &framebuffer);
  glDeleteTextures(1, &target);
  return failure;
}

/* Draws the picture in memory, four bytes a pixel, into a buffer, and waits until that is done. */
static inline uint32_t cgl_draw(
    cgl_context *context, const cgl_picture *picture, uint32_t width, uint32_t height, int is_turned, const void *memory,
    size_t offset, size_t pitch) {
  uint8_t *row = malloc((size_t)width * 4);
  if (row == NULL) {
    context->operation = "malloc";
    return GL_OUT_OF_MEMORY;
  }
  GLuint source, framebuffer;
  glGenTextures(1, &source);
  glBindTexture(GL_TEXTURE_2D, source);
  glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
  glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, (GLsizei)width, (GLsizei)height, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
  for (size_t y = 0; y < height; y++) {
    cgl_copy_row(row, (const uint8_t *)memory + offset + y * pitch, width, is_turned);
    glTexSubImage2D(GL_TEXTURE_2D, 0, 0, (GLint)y, (GLsizei)width, 1, GL_RGBA, GL_UNSIGNED_BYTE, row);
  }
  free(row);
  cgl_attach(picture->texture, &framebuffer);
  uint32_t failure = cgl_cover(context, picture->program, GL_TEXTURE_2D, source, width, height);
  glFinish();
  if (failure == 0)
    failure = cgl_failed_gl(context, "glFinish");
  glDeleteFramebuffers(1, &framebuffer);
  glDeleteTextures(1, &source);
  return failure;
}

#endif
