// Part of Mqtt5, and used by its benchmarks only: `Benchmarks broker` builds and runs it.
// Connections of MQTT 5 that do nothing but connect. Prints one JSON line.
//
// --mode connect: opens --count connections, --window of them under way at a time, holds them for --settle seconds and
// closes them, --times times. Tells the rate, up to the last CONNACK, and the processor that the broker (--watch
// PROCESS-ID) used meanwhile for one.
// --mode idle: opens --first connections, and after --settle seconds the others of --count; again after --settle seconds
// holds them for --for seconds. Tells the broker's share of a processor meanwhile, and the memory of one that was added.
#include "common.h"

typedef struct {
  int fd, index, connecting;
  uint8_t *in;
  size_t in_len;
} Conn;

static const char *mode = "connect";
static int count = 1000, window = 100, times = 1, first = 0;
static double settle_s = 0, for_s = 0;

// The memory of the broker that is resident, in bytes.
static long watched_rss(void) {
  char path[64];
  long all, resident = 0;
  snprintf(path, sizeof path, "/proc/%d/statm", watch);
  FILE *f = watch ? fopen(path, "r") : 0;
  if (f) {
    if (fscanf(f, "%ld %ld", &all, &resident) != 2)
      resident = 0;
    fclose(f);
  }
  return resident * sysconf(_SC_PAGESIZE);
}
// Opens connections until there are n, and gives the seconds that it took, up to the last CONNACK.
static double open_all(int ep, Conn *cs, int from, int n) {
  struct epoll_event ev[512];
  uint64_t t0 = now_ns(), last = t0;
  int opened = from, done = from;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &a.sin_addr);
  while (done < n) {
    for (; opened < n && opened - done < window; opened++) {
      Conn *c = cs + opened;
      int one = 1;
      c->index = opened;
      c->in_len = 0;
      c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      if (c->fd < 0)
        die("socket");
      setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      if (connect(c->fd, (void *)&a, sizeof a) && errno != EINPROGRESS)
        die("connect");
      c->connecting = 1;
      struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};
      epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
    }
    int m = epoll_wait(ep, ev, 512, 1000);
    uint64_t t = now_ns();
    if (m)
      last = t;
    else if (t - last > 10000000000ull) {
      fprintf(stderr, "connections: %d of %d connections, and no more in ten seconds\n", done, n);
      exit(1);
    }
    for (int i = 0; i < m; i++) {
      Conn *c = ev[i].data.ptr;
      uint8_t b[512];
      if (c->connecting) {
        char id[64];
        snprintf(id, sizeof id, "lg-%d-c-%d", getpid(), c->index);
        if (write(c->fd, b, connect_packet(b, id)) < 0)
          die("write CONNECT");
        c->connecting = 0;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
        continue;
      }
      // A CONNACK has fewer than 128 bytes here, and is all that comes.
      ssize_t r = read(c->fd, b + c->in_len, sizeof b - c->in_len);
      if (r <= 0)
        die("read CONNACK");
      if (!c->in)
        c->in = malloc(sizeof b);
      memcpy(c->in + c->in_len, b + c->in_len, r);
      c->in_len += r;
      if (c->in_len < 2 || c->in_len < 2u + c->in[1])
        continue;
      if (c->in[0] != 0x20 || c->in[3] != 0) {
        fprintf(stderr, "connections: CONNACK refused %02x reason %02x\n", c->in[0], c->in[3]);
        exit(1);
      }
      epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, 0);
      free(c->in);
      c->in = 0;
      done++;
    }
  }
  return (now_ns() - t0) / 1e9;
}
static void close_all(Conn *cs, int n) {
  for (int i = 0; i < n; i++) {
    if (write(cs[i].fd, "\xe0\0", 2) < 0)
      die("write DISCONNECT");
    close(cs[i].fd);
  }
}
static int storm(int ep) {
  Conn *cs = calloc(count, sizeof *cs);
  double seconds[16], cpu[16];
  for (int k = 0; k < times; k++) {
    double before = watched_cpu();
    seconds[k] = open_all(ep, cs, 0, count);
    cpu[k] = watched_cpu() - before;
    pause_s(settle_s);
    close_all(cs, count);
    pause_s(settle_s);
  }
  printf("{\"connects_s\":[");
  for (int k = 0; k < times; k++)
    printf("%s%.1f", k ? "," : "", count / seconds[k]);
  printf("],\"connect_cpu_us\":[");
  for (int k = 0; k < times; k++)
    printf("%s%.2f", k ? "," : "", cpu[k] * 1e6 / count);
  printf("],\"gen_cpu_s\":%.3f}\n", generator_cpu());
  return 0;
}
static int hold(int ep) {
  Conn *cs = calloc(count, sizeof *cs);
  open_all(ep, cs, 0, first);
  pause_s(settle_s);
  long before = watched_rss();
  open_all(ep, cs, first, count);
  pause_s(settle_s);
  long resident = watched_rss();
  double cpu = watched_cpu();
  uint64_t t = now_ns();
  pause_s(for_s);
  cpu = watched_cpu() - cpu;
  double s = (now_ns() - t) / 1e9;
  printf("{\"watched_share\":%.6f,\"bytes_a_connection\":%.1f}\n", cpu / s,
         count > first ? (resident - before) / (double)(count - first) : 0);
  close_all(cs, count);
  return 0;
}

int main(int argc, char **argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    char *k = argv[i], *v = argv[i + 1];
    if (!strcmp(k, "--port"))
      port = atoi(v);
    else if (!strcmp(k, "--mode"))
      mode = v;
    else if (!strcmp(k, "--count"))
      count = atoi(v);
    else if (!strcmp(k, "--window"))
      window = atoi(v);
    else if (!strcmp(k, "--times"))
      times = atoi(v) > 16 ? 16 : atoi(v);
    else if (!strcmp(k, "--first"))
      first = atoi(v);
    else if (!strcmp(k, "--settle"))
      settle_s = atof(v);
    else if (!strcmp(k, "--for"))
      for_s = atof(v);
    else if (!strcmp(k, "--watch"))
      watch = atoi(v);
    else {
      fprintf(stderr, "connections: unknown %s\n", k);
      return 2;
    }
  }
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int ep = epoll_create1(0);
  return !strcmp(mode, "connect") ? storm(ep) : hold(ep);
}
