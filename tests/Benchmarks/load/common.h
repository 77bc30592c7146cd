// Part of Mqtt5, and used by its benchmarks only: what the generators of load share.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int port = 1883;
static const char *host = "127.0.0.1";
static int watch = 0; // the process id of the broker

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}
static void die(const char *m) {
  fprintf(stderr, "load: %s: %s\n", m, strerror(errno));
  exit(1);
}
static void pause_s(double s) {
  struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (time_t)s) * 1e9)};
  nanosleep(&t, 0);
}
// The processor that the broker has used, in seconds: the counter behind /proc/PID/stat, which shows hundredths only.
static double watched_cpu(void) {
  clockid_t c;
  struct timespec t;
  if (!watch)
    return 0;
  if (clock_getcpuclockid(watch, &c) || clock_gettime(c, &t))
    die("--watch");
  return t.tv_sec + t.tv_nsec / 1e9;
}
static double generator_cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}
static size_t varint(uint8_t *p, uint32_t v) {
  size_t i = 0;
  do {
    uint8_t d = v & 127;
    v >>= 7;
    p[i++] = v ? d | 128 : d;
  } while (v);
  return i;
}

static size_t connect_packet(uint8_t *p, const char *id) {
  uint8_t v[256];
  size_t n = 0;
  size_t idl = strlen(id);
  memcpy(v, "\0\4MQTT\5\2\0\0", 10);
  n = 10; // v5, clean start, keep alive 0
  v[n++] = 3;
  v[n++] = 0x21;
  v[n++] = 0xff;
  v[n++] = 0xff; // receive maximum 65535
  v[n++] = idl >> 8;
  v[n++] = idl;
  memcpy(v + n, id, idl);
  n += idl;
  p[0] = 0x10;
  size_t h = 1 + varint(p + 1, n);
  memcpy(p + h, v, n);
  return h + n;
}
