/*
 * Loaded below the program (LD_PRELOAD): makes the system calls of the disk fail, or write less than they were given.
 *
 * TORTURE_BELOW=OP:PART:WHAT:TIMES   the first TIMES of OP (write, fsync, rename, link, open) on a path that holds PART:
 *   EIO, ENOSPC  fails so
 *   SHORT        writes half and says so
 *   TORN         writes half and says so; the next two writes there fail with EIO (libuv tries the rest at once, and keeps
 *                the first such error to itself)
 * TORTURE_BELOW_LOG=FILE   a byte for each time that it did
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum what { NONE, FAIL, SHORT, TORN };
static char op[16], part[256];
static enum what what;
static int code;
static atomic_int left;
static atomic_int torn;
static int log_fd = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void read_environment(void) {
  const char *text = getenv("TORTURE_BELOW");
  const char *file = getenv("TORTURE_BELOW_LOG");
  char kind[16];
  int times;
  if (text == NULL || sscanf(text, "%15[^:]:%255[^:]:%15[^:]:%d", op, part, kind, &times) != 4) return;
  what = strcmp(kind, "SHORT") == 0 ? SHORT : strcmp(kind, "TORN") == 0 ? TORN : FAIL;
  code = strcmp(kind, "ENOSPC") == 0 ? ENOSPC : EIO;
  if (file != NULL) log_fd = REAL(open)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  atomic_store(&left, times);
}

static int hits(const char *name, const char *path) {
  if (what == NONE || strcmp(name, op) != 0 || strstr(path, part) == NULL) return 0;
  if (atomic_fetch_sub(&left, 1) <= 0) {
    atomic_fetch_add(&left, 1);
    return 0;
  }
  if (log_fd >= 0) REAL(write)(log_fd, ".", 1);
  return 1;
}

static const char *path_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = 0;
  return path;
}

/* How much of a write is to be done; -1 where it fails. */
static ssize_t allowed(int fd, size_t count) {
  char path[PATH_MAX];
  if (what == NONE || strcmp(op, "write") != 0 || count < 2 || fd == log_fd) return (ssize_t)count;
  if (strstr(path_of(fd, path), part) == NULL) return (ssize_t)count;
  if (what == TORN && atomic_load(&torn) > 0) {
    atomic_fetch_sub(&torn, 1);
    errno = EIO;
    return -1;
  }
  if (!hits("write", path)) return (ssize_t)count;
  if (what == FAIL) {
    errno = code;
    return -1;
  }
  if (what == TORN) atomic_store(&torn, 2);
  return (ssize_t)(count / 2);
}

ssize_t write(int fd, const void *bytes, size_t count) {
  ssize_t most = allowed(fd, count);
  return most < 0 ? -1 : REAL(write)(fd, bytes, (size_t)most);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  ssize_t most = allowed(fd, count);
  return most < 0 ? -1 : REAL(pwrite64)(fd, bytes, (size_t)most, at);
}

/* Of several pieces the first is what is cut. */
ssize_t writev(int fd, const struct iovec *pieces, int count) {
  size_t first = count > 0 ? pieces[0].iov_len : 0;
  ssize_t most = allowed(fd, first);
  if (most < 0) return -1;
  return (size_t)most == first ? REAL(writev)(fd, pieces, count) : REAL(write)(fd, pieces[0].iov_base, (size_t)most);
}

#define FAILING(name, path) \
  if (hits(name, path)) {   \
    errno = code;           \
    return -1;              \
  }

int fsync(int fd) {
  char path[PATH_MAX];
  FAILING("fsync", path_of(fd, path))
  return REAL(fsync)(fd);
}

int fdatasync(int fd) {
  char path[PATH_MAX];
  FAILING("fsync", path_of(fd, path))
  return REAL(fdatasync)(fd);
}

int rename(const char *from, const char *to) {
  FAILING("rename", to)
  return REAL(rename)(from, to);
}

int link(const char *from, const char *to) {
  FAILING("link", to)
  return REAL(link)(from, to);
}

#define OPENING(name)                                              \
  int name(const char *path, int flags, ...) {                     \
    va_list more;                                                  \
    va_start(more, flags);                                         \
    mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0;    \
    va_end(more);                                                  \
    if ((flags & O_ACCMODE) != O_RDONLY) FAILING("open", path)     \
    return REAL(name)(path, flags, mode);                          \
  }
OPENING(open)
OPENING(open64)
