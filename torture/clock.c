/*
 * Loaded below the program (LD_PRELOAD): its wall clock jumps; the monotonic one does not, as the kernel promises.
 *
 * TORTURE_CLOCK=MS:SECONDS,…   from so many milliseconds of its life on the clock is so many seconds off
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define STEPS 8
static long long begun, at_ms[STEPS];
static long shift[STEPS];
static int steps;
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_gettimeofday)(struct timeval *restrict, void *restrict);

static long long monotonic_ms(void) {
  struct timespec now;
  real_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

__attribute__((constructor)) static void begin(void) {
  real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  real_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
  begun = monotonic_ms();
  for (const char *text = getenv("TORTURE_CLOCK"); text != NULL && steps < STEPS; text = strchr(text, ',')) {
    if (*text == ',') text++;
    if (sscanf(text, "%lld:%ld", &at_ms[steps], &shift[steps]) == 2) steps++;
  }
}

static long off(void) {
  long seconds = 0;
  if (real_gettime == NULL) return 0;
  long long age = monotonic_ms() - begun;
  for (int i = 0; i < steps; i++)
    if (age >= at_ms[i]) seconds = shift[i];
  return seconds;
}

int clock_gettime(clockid_t id, struct timespec *now) {
  if (real_gettime == NULL) real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real_gettime(id, now);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += off();
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  if (real_gettimeofday == NULL) real_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
  int result = real_gettimeofday(now, zone);
  if (result == 0) now->tv_sec += off();
  return result;
}
