// Part of Mqtt5, and used by its benchmarks only: `Benchmarks broker` builds and runs it.
// MQTT load generator: one epoll thread, closed loop, so that the broker under test is the bottleneck.
// Every run is lossless by credit: publishers stop while (sent * fan-out - received) exceeds --credit.
// Prints one JSON line: delivered messages a second, published a second, loss, latency percentiles (us), CPU seconds of
// the generator, and with --watch PROCESS-ID those of the broker while it was measured.
//
// --rate: messages a second in all, from the publishers in turn. With --wait sleep it sleeps until the next is due or
// something comes; with --wait poll it looks without a pause and uses one processor up.
// --version: 5, 311, or mixed, which is MQTT 5 with each second subscriber in 3.1.1.
// --for: sends so many seconds; with --msgs 0 it holds its connections so long and sends nothing.
#include "common.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>

typedef struct {
  int fd, index, is_sub, is_v3;
  uint8_t *in;
  size_t in_len, in_cap;
  uint8_t *out;
  size_t out_len, out_off, out_cap;
  uint64_t sent, acked;
  uint32_t inflight;
  uint16_t next_id;
  int topic;
  int want_write;
} Conn;

static int qos = 0, size_ = 16, pubs = 1, subs = 1, window = 100, batch = 32, refill = 1;
static uint64_t per_pub = 100000, credit = 20000;
static double rate = 0, limit_s = 60, for_s = 0, settle_s = 0;
static int sleeps = 0;
static const char *mode = "pair", *version = "5";
static uint64_t total_sent, total_recv, total_acked, fan;
static uint64_t hist[65536]; // 1us buckets up to 65ms, last is overflow
static uint64_t lat_max;
static uint64_t by_second[128]; // received in each second, by the clock of the run
static uint64_t begun_ns;

static void need(uint8_t **b, size_t *cap, size_t n) {
  if (n > *cap) {
    while (*cap < n)
      *cap = *cap ? *cap * 2 : 65536;
    *b = realloc(*b, *cap);
  }
}
static void put(Conn *c, const void *p, size_t n) {
  need(&c->out, &c->out_cap, c->out_len + n);
  memcpy(c->out + c->out_len, p, n);
  c->out_len += n;
}
static int dial(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &a.sin_addr);
  if (connect(fd, (void *)&a, sizeof a))
    die("connect");
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}
static void read_n(int fd, uint8_t *b, size_t n) {
  while (n) {
    ssize_t r = read(fd, b, n);
    if (r <= 0)
      die("read during handshake");
    b += r;
    n -= r;
  }
}
static size_t read_packet(int fd, uint8_t *type, uint8_t *body) {
  read_n(fd, type, 1);
  uint32_t len = 0;
  int sh = 0;
  uint8_t b;
  do {
    read_n(fd, &b, 1);
    len |= (uint32_t)(b & 127) << sh;
    sh += 7;
  } while (b & 128);
  read_n(fd, body, len);
  return len;
}
static size_t connect_packet_v3(uint8_t *p, const char *id) {
  size_t l = strlen(id), h = 1 + varint(p + 1, 10 + 2 + l);
  p[0] = 0x10;
  memcpy(p + h, "\0\4MQTT\4\2\0\0", 10);
  h += 10;
  p[h++] = l >> 8;
  p[h++] = l;
  memcpy(p + h, id, l);
  return h + l;
}
static void handshake(Conn *c, const char *id) {
  uint8_t p[300];
  if (write(c->fd, p, c->is_v3 ? connect_packet_v3(p, id) : connect_packet(p, id)) < 0)
    die("write CONNECT");
  uint8_t t, body[70000];
  size_t l = read_packet(c->fd, &t, body);
  if (t != 0x20 || l < 2 || body[1] != 0) {
    fprintf(stderr, "loadgen: CONNACK refused %02x reason %02x\n", t, body[1]);
    exit(1);
  }
}
static void subscribe(Conn *c, const char *filter) {
  uint8_t p[300];
  size_t l = strlen(filter), n = 2 + !c->is_v3 + 2 + l + 1;
  p[0] = 0x82;
  size_t h = 1 + varint(p + 1, n);
  p[h++] = 0;
  p[h++] = 1;
  if (!c->is_v3)
    p[h++] = 0;
  p[h++] = l >> 8;
  p[h++] = l;
  memcpy(p + h, filter, l);
  h += l;
  p[h++] = qos;
  if (write(c->fd, p, h) < 0)
    die("write SUBSCRIBE");
  uint8_t t, body[70000];
  size_t bl = read_packet(c->fd, &t, body);
  if (t != 0x90 || body[bl - 1] > 2) {
    fprintf(stderr, "loadgen: SUBACK refused\n");
    exit(1);
  }
}
static void publish(Conn *c) {
  char topic[64];
  int tl = snprintf(topic, sizeof topic, "load/%d/t", c->topic);
  uint8_t v[70000];
  size_t n = 0;
  v[n++] = tl >> 8;
  v[n++] = tl;
  memcpy(v + n, topic, tl);
  n += tl;
  if (qos) {
    if (!++c->next_id)
      c->next_id = 1;
    v[n++] = c->next_id >> 8;
    v[n++] = c->next_id;
  }
  if (!c->is_v3)
    v[n++] = 0;
  uint64_t ts = now_ns();
  memset(v + n, 'x', size_);
  memcpy(v + n, &ts, 8);
  n += size_;
  uint8_t h[8];
  h[0] = 0x30 | qos << 1;
  size_t hl = 1 + varint(h + 1, n);
  put(c, h, hl);
  put(c, v, n);
  c->sent++;
  total_sent++;
  if (qos)
    c->inflight++;
}
static void flush(int ep, Conn *c) {
  while (c->out_off < c->out_len) {
    ssize_t r = write(c->fd, c->out + c->out_off, c->out_len - c->out_off);
    if (r < 0) {
      if (errno == EAGAIN)
        break;
      die("write");
    }
    c->out_off += r;
  }
  if (c->out_off == c->out_len)
    c->out_off = c->out_len = 0;
  int want = c->out_len > 0;
  if (want != c->want_write) {
    c->want_write = want;
    struct epoll_event e = {.events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
  }
}
static void receive(Conn *c) {
  need(&c->in, &c->in_cap, c->in_len + 262144);
  ssize_t r = read(c->fd, c->in + c->in_len, c->in_cap - c->in_len);
  if (r == 0) {
    fprintf(stderr, "loadgen: broker closed a connection (%s %d)\n", c->is_sub ? "sub" : "pub", c->index);
    exit(1);
  }
  if (r < 0) {
    if (errno == EAGAIN)
      return;
    die("read");
  }
  c->in_len += r;
  if (refill > 1) {
    // The next PUBLISH, which would carry the acknowledgement of TCP, is not due yet, and a broker under Nagle waits.
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
  }
  size_t o = 0;
  uint64_t t_now = now_ns();
  for (;;) {
    if (c->in_len - o < 2)
      break;
    uint32_t len = 0;
    int sh = 0;
    size_t i = o + 1;
    int done = 0;
    while (i < c->in_len) {
      uint8_t b = c->in[i++];
      len |= (uint32_t)(b & 127) << sh;
      sh += 7;
      if (!(b & 128)) {
        done = 1;
        break;
      }
    }
    if (!done || c->in_len - i < len)
      break;
    uint8_t type = c->in[o] >> 4, fl = c->in[o] & 15;
    uint8_t *p = c->in + i;
    if (type == 3) {
      int q = fl >> 1 & 3;
      size_t k = 2 + (p[0] << 8 | p[1]);
      uint8_t *id = p + k;
      if (q)
        k += 2;
      uint32_t pl = 0;
      sh = 0;
      uint8_t b;
      if (!c->is_v3) {
        do {
          b = p[k++];
          pl |= (uint32_t)(b & 127) << sh;
          sh += 7;
        } while (b & 128);
        k += pl;
      }
      uint64_t ts;
      memcpy(&ts, p + k, 8);
      uint64_t us = (t_now - ts) / 1000;
      hist[us > 65535 ? 65535 : us]++;
      if (us > lat_max)
        lat_max = us;
      total_recv++;
      uint64_t second = (t_now - begun_ns) / 1000000000ull;
      by_second[second > 127 ? 127 : second]++;
      if (q == 1) {
        uint8_t a[4] = {0x40, 2, id[0], id[1]};
        put(c, a, 4);
      }
      if (q == 2) {
        uint8_t a[4] = {0x50, 2, id[0], id[1]};
        put(c, a, 4);
      }
    } else if (type == 4) {
      c->acked++;
      total_acked++;
      c->inflight--;
      if (len > 2 && p[2] >= 0x80) {
        fprintf(stderr, "loadgen: PUBACK %02x\n", p[2]);
        exit(1);
      }
    } else if (type == 5) {
      uint8_t a[4] = {0x62, 2, p[0], p[1]};
      put(c, a, 4);
    } else if (type == 6) {
      uint8_t a[4] = {0x70, 2, p[0], p[1]};
      put(c, a, 4);
    } else if (type == 7) {
      c->acked++;
      total_acked++;
      c->inflight--;
    } else if (type == 14) {
      fprintf(stderr, "loadgen: DISCONNECT reason %02x\n", len ? p[0] : 0);
      exit(1);
    }
    o = i + len;
  }
  memmove(c->in, c->in + o, c->in_len - o);
  c->in_len -= o;
}
static uint64_t pct(uint64_t n, double q) {
  uint64_t want = n * q, s = 0;
  for (int i = 0; i < 65536; i++) {
    s += hist[i];
    if (s > want)
      return i;
  }
  return 65535;
}

// Waits until something comes, or the next message is due.
static int wait_for(int ep, struct epoll_event *ev, int idle, uint64_t t1) {
  if (!idle)
    return epoll_wait(ep, ev, 512, 0);
  if (rate <= 0)
    return epoll_wait(ep, ev, 512, 1);
  if (!sleeps)
    return epoll_wait(ep, ev, 512, 0);
  uint64_t t = now_ns(), due = t1 + (uint64_t)(total_sent / rate * 1e9) + 1;
  if (due > t) {
    uint64_t left = due - t;
    struct pollfd p = {.fd = ep, .events = POLLIN};
    // No longer than a second, so that a run in which all was sent ends.
    struct timespec until = {.tv_sec = left >= 1000000000ull, .tv_nsec = left >= 1000000000ull ? 0 : left};
    ppoll(&p, 1, &until, 0);
  }
  return epoll_wait(ep, ev, 512, 0);
}

int main(int argc, char **argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    char *k = argv[i], *v = argv[i + 1];
    if (!strcmp(k, "--host"))
      host = v;
    else if (!strcmp(k, "--port"))
      port = atoi(v);
    else if (!strcmp(k, "--qos"))
      qos = atoi(v);
    else if (!strcmp(k, "--size"))
      size_ = atoi(v);
    else if (!strcmp(k, "--pubs"))
      pubs = atoi(v);
    else if (!strcmp(k, "--subs"))
      subs = atoi(v);
    else if (!strcmp(k, "--msgs"))
      per_pub = atoll(v);
    else if (!strcmp(k, "--window"))
      window = atoi(v);
    else if (!strcmp(k, "--credit"))
      credit = atoll(v);
    else if (!strcmp(k, "--rate"))
      rate = atof(v);
    else if (!strcmp(k, "--mode"))
      mode = v;
    else if (!strcmp(k, "--version"))
      version = v;
    else if (!strcmp(k, "--limit"))
      limit_s = atof(v);
    else if (!strcmp(k, "--batch"))
      batch = atoi(v);
    else if (!strcmp(k, "--refill"))
      refill = atoi(v);
    else if (!strcmp(k, "--watch"))
      watch = atoi(v);
    else if (!strcmp(k, "--for"))
      for_s = atof(v);
    else if (!strcmp(k, "--settle"))
      settle_s = atof(v);
    else if (!strcmp(k, "--wait"))
      sleeps = !strcmp(v, "sleep");
    else {
      fprintf(stderr, "loadgen: unknown %s\n", k);
      return 2;
    }
  }
  if (strcmp(version, "5") && strcmp(version, "311") && strcmp(version, "mixed")) {
    fprintf(stderr, "loadgen: --version is 5, 311 or mixed\n");
    return 2;
  }
  // pair: publisher i -> subscriber i; fanout: 1 topic, every sub gets all; fanin: every pub its own topic, each sub on
  // load/#, and with --subs 0 publishing alone
  if (!strcmp(mode, "pair")) {
    subs = pubs;
    fan = 1;
  } else
    fan = subs;
  if (size_ < 8)
    size_ = 8;
  // The system may let a timer of this process be late by 50 us otherwise.
  prctl(PR_SET_TIMERSLACK, 1);
  int ep = epoll_create1(0), n = pubs + subs;
  Conn *cs = calloc(n, sizeof *cs);
  uint64_t t0 = now_ns();
  for (int i = 0; i < n; i++) {
    Conn *c = cs + i;
    c->is_sub = i >= pubs;
    c->index = c->is_sub ? i - pubs : i;
    c->is_v3 = !strcmp(version, "311") || (!strcmp(version, "mixed") && c->is_sub && c->index % 2);
    c->fd = dial();
    c->topic = !strcmp(mode, "fanout") ? 0 : c->index;
    char id[64];
    snprintf(id, sizeof id, "lg-%d-%s-%d", getpid(), c->is_sub ? "s" : "p", c->index);
    handshake(c, id);
    if (c->is_sub) {
      char f[64];
      if (!strcmp(mode, "fanin"))
        strcpy(f, "load/#");
      else
        snprintf(f, sizeof f, "load/%d/t", c->topic);
      subscribe(c, f);
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
  }
  pause_s(settle_s);
  int holds = per_pub == 0, turn = 0;
  if (for_s > 0 && !holds)
    per_pub = 1000000000000ull;
  double cpu = watched_cpu(), own = generator_cpu();
  uint64_t t1 = begun_ns = now_ns(), goal = per_pub * pubs, want = goal * fan, last = t1, last_recv = 0;
  struct epoll_event ev[512];
  if (holds)
    pause_s(for_s);
  while (total_recv < want || (qos && total_acked < goal)) {
    uint64_t t = now_ns();
    if (for_s > 0 && t - t1 > for_s * 1e9 && goal != total_sent) {
      goal = total_sent;
      want = goal * fan;
      for (int i = 0; i < pubs; i++)
        cs[i].sent = per_pub;
      continue;
    }
    int idle = 1;
    if (total_recv + total_acked != last_recv) {
      last_recv = total_recv + total_acked;
      last = t;
    }
    if (t - last > 3000000000ull || t - t1 > limit_s * 1e9)
      break;
    for (int j = 0; j < pubs; j++) {
      Conn *c = cs + (turn + j) % pubs;
      if (c->out_len > 262144)
        continue;
      // A window that was filled is filled again once --refill messages of it were acknowledged.
      if (qos && c->inflight && window - (int)c->inflight < refill)
        continue;
      for (int k = 0; k < batch && c->sent < per_pub; k++) {
        if (qos && (int)c->inflight >= window)
          break;
        if (total_sent * fan - total_recv > credit && total_sent * fan > total_recv)
          break;
        if (rate > 0 && total_sent > (t - t1) / 1e9 * rate)
          break;
        publish(c);
        idle = 0;
        // At a rate the publishers take turns; without one each fills its window.
        if (rate > 0) {
          turn = (turn + j + 1) % pubs;
          j = pubs;
          break;
        }
      }
      if (c->out_len && !c->want_write)
        flush(ep, c);
    }
    int m = wait_for(ep, ev, idle, t1);
    for (int i = 0; i < m; i++) {
      Conn *c = ev[i].data.ptr;
      if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(c);
      if (c->out_len)
        flush(ep, c);
    }
  }
  uint64_t t2 = now_ns();
  // The time in which messages that were lost were waited for does not count; that without messages does.
  if (!holds && t2 - last > 2900000000ull)
    t2 = last;
  double s = (t2 - t1) / 1e9;
  cpu = watched_cpu() - cpu;
  printf("{\"mode\":\"%s\",\"qos\":%d,\"size\":%d,\"pubs\":%d,\"subs\":%d,\"sent\":%lu,\"received\":%lu,\"lost\":%ld,"
         "\"seconds\":%.3f,\"published_s\":%.0f,\"delivered_s\":%.0f,\"p50_us\":%lu,\"p99_us\":%lu,\"p999_us\":%lu,"
         "\"max_us\":%lu,\"connect_s\":%.3f,\"gen_cpu_s\":%.2f,\"gen_share\":%.4f,\"watched_share\":%.6f,\"by_second\":[",
         mode, qos, size_, pubs, subs, total_sent, total_recv, (long)(total_sent * fan - total_recv), s, total_sent / s,
         total_recv / s, pct(total_recv, .5), pct(total_recv, .99), pct(total_recv, .999), lat_max, (t1 - t0) / 1e9,
         generator_cpu(), (generator_cpu() - own) / s, cpu / s);
  for (int i = 0; i < (int)s && i < 127; i++)
    printf("%s%lu", i ? "," : "", by_second[i]);
  printf("]}\n");
  return total_recv < want || (qos && total_acked < goal);
}
