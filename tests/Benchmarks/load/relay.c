// Part of Mqtt5, and used by its benchmarks only: `Benchmarks broker` builds and runs it.
// null relay: accepts MQTT v5 clients; publisher bytes are framed (fixed header parsed) and copied verbatim to the last
// subscriber. Upper bound for any broker.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
typedef struct {
  int fd;
  uint8_t in[1 << 18];
  size_t n;
  uint8_t *out;
  size_t on, oo, oc;
  int sub;
} C;
static C *subs[4096];
static int nsub;
static void put(C *c, const void *p, size_t n) {
  if (c->on + n > c->oc) {
    c->oc = (c->on + n) * 2;
    c->out = realloc(c->out, c->oc);
  }
  memcpy(c->out + c->on, p, n);
  c->on += n;
}
static void fl(C *c) {
  while (c->oo < c->on) {
    ssize_t r = write(c->fd, c->out + c->oo, c->on - c->oo);
    if (r < 0)
      break;
    c->oo += r;
  }
  if (c->oo == c->on)
    c->oo = c->on = 0;
}
int main(int a, char **v) {
  int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, 4);
  struct sockaddr_in ad = {.sin_family = AF_INET, .sin_port = htons(atoi(v[1]))};
  inet_pton(AF_INET, "127.0.0.1", &ad.sin_addr);
  if (bind(s, (void *)&ad, sizeof ad))
    return 1;
  listen(s, 1024);
  int ep = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = 0};
  epoll_ctl(ep, EPOLL_CTL_ADD, s, &e);
  struct epoll_event ev[512];
  for (;;) {
    int m = epoll_wait(ep, ev, 512, -1);
    for (int i = 0; i < m; i++) {
      C *c = ev[i].data.ptr;
      if (!c) {
        c = calloc(1, sizeof *c);
        c->fd = accept4(s, 0, 0, SOCK_NONBLOCK);
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, 4);
        e.events = EPOLLIN;
        e.data.ptr = c;
        epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
        continue;
      }
      ssize_t r = read(c->fd, c->in + c->n, sizeof c->in - c->n);
      if (r <= 0) {
        if (r < 0 && errno == EAGAIN)
          continue;
        for (int k = 0; k < nsub; k++)
          if (subs[k] == c) {
            subs[k] = subs[--nsub];
          }
        epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, 0);
        close(c->fd);
        continue;
      }
      c->n += r;
      size_t o = 0;
      while (c->n - o >= 2) {
        uint32_t l = 0;
        int sh = 0;
        size_t k = o + 1;
        int d = 0;
        while (k < c->n) {
          uint8_t b = c->in[k++];
          l |= (uint32_t)(b & 127) << sh;
          sh += 7;
          if (!(b & 128)) {
            d = 1;
            break;
          }
        }
        if (!d || c->n - k < l)
          break;
        uint8_t t = c->in[o] >> 4;
        if (t == 1)
          put(c, "\x20\x03\0\0\0", 5);
        else if (t == 8) {
          uint8_t p[] = {0x90, 4, c->in[k], c->in[k + 1], 0, 0};
          put(c, p, 6);
          subs[nsub++] = c;
        } else if (t == 3)
          for (int q = 0; q < nsub; q++)
            put(subs[q], c->in + o, k + l - o);
        o = k + l;
      }
      memmove(c->in, c->in + o, c->n - o);
      c->n -= o;
      if (c->on)
        fl(c);
      for (int q = 0; q < nsub; q++)
        fl(subs[q]);
    }
  }
}
