/*
 * wan-delay: the long way between regions, for `npm run bench:wan`. It holds the TUN device of every region's
 * network namespace and carries IPv4 packets from one to another after the delay of that direction. Linux kernels
 * without netem have nothing for this, and a program that carries the packets can cut a link at an exact moment.
 *
 *   wan-delay NAMESPACE DEVICE ADDRESS [NAMESPACE DEVICE ADDRESS]...
 *
 * Regions are numbered from 0 in the order of the arguments. Orders, one a line, on stdin; each is answered by one
 * line on stdout, "ok" or "error WHY":
 *
 *   delay FROM TO MICROSECONDS   packets of that direction take so long from now on (0 at first)
 *   cut FROM TO                  loses what is on its way in that direction, and whatever is sent from now on
 *   heal FROM TO                 carries again
 *   stats                        "ok CARRIED LOST LATE_MICROSECONDS_MAX", since the last such order
 *
 * It ends at the end of stdin, which is also how it learns of its parent's death. Linux only, needs CAP_SYS_ADMIN.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { REGIONS_MAX = 16, PACKET_BYTES_MAX = 65536, QUEUE_PACKETS_MAX = 65536, BURST_PACKETS_MAX = 64 };

struct packet {
  struct packet *next;
  uint64_t due_ns;
  uint32_t length;
  unsigned char bytes[];
};

/* One direction between two regions. Its delay is the same for all packets, so they leave as they came. */
struct link {
  struct packet *first, *last;
  uint32_t waiting;
  uint64_t delay_ns;
  int cut;
};

static int count;
static struct pollfd devices[REGIONS_MAX + 1];
static uint32_t addresses[REGIONS_MAX];
static struct link links[REGIONS_MAX][REGIONS_MAX];
static uint64_t carried, lost, late_ns_max;

static void die(const char *what) {
  fprintf(stderr, "wan-delay: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The device stays bound to the namespace that it was opened in, wherever this process goes afterwards. */
static int open_device(const char *namespace, const char *device) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", namespace);
  int ns = open(path, O_RDONLY | O_CLOEXEC);
  if (ns < 0) die(path);
  if (setns(ns, CLONE_NEWNET) != 0) die("setns");
  close(ns);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) die("/dev/net/tun");
  struct ifreq request;
  memset(&request, 0, sizeof request);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
  if (ioctl(fd, TUNSETIFF, &request) != 0) die(device);
  return fd;
}

static void drop_first(struct link *link) {
  struct packet *packet = link->first;
  link->first = packet->next;
  if (link->first == NULL) link->last = NULL;
  link->waiting--;
  free(packet);
}

/* Takes what a region has sent, a burst at a time, so that none keeps the others waiting. */
static void receive(int from) {
  static unsigned char bytes[PACKET_BYTES_MAX];
  for (int i = 0; i < BURST_PACKETS_MAX; i++) {
    ssize_t length = read(devices[from].fd, bytes, sizeof bytes);
    if (length < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      die("reading a device");
    }
    /* The destination is at byte 16 of an IPv4 header. IPv6 and multicast have no region to go to. */
    if (length < 20 || bytes[0] >> 4 != 4) continue;
    uint32_t destination;
    memcpy(&destination, bytes + 16, sizeof destination);
    for (int to = 0; to < count; to++) {
      if (to == from || addresses[to] != destination) continue;
      struct link *link = &links[from][to];
      struct packet *packet = link->cut || link->waiting >= QUEUE_PACKETS_MAX ? NULL : malloc(sizeof *packet + length);
      if (packet == NULL) {
        lost++;
        break;
      }
      packet->next = NULL;
      packet->due_ns = now_ns() + link->delay_ns;
      /* After an order that shortened the delay, packets still leave in their order. */
      if (link->last != NULL && link->last->due_ns > packet->due_ns) packet->due_ns = link->last->due_ns;
      packet->length = length;
      memcpy(packet->bytes, bytes, length);
      if (link->last == NULL) link->first = packet;
      else link->last->next = packet;
      link->last = packet;
      link->waiting++;
      break;
    }
  }
}

/* Delivers all that is due; gives the time at which the next packet will be, 0 where none waits. */
static uint64_t deliver(void) {
  uint64_t next_ns = 0;
  uint64_t now = now_ns();
  for (int from = 0; from < count; from++) {
    for (int to = 0; to < count; to++) {
      struct link *link = &links[from][to];
      while (link->first != NULL && link->first->due_ns <= now) {
        if (now - link->first->due_ns > late_ns_max) late_ns_max = now - link->first->due_ns;
        ssize_t written = write(devices[to].fd, link->first->bytes, link->first->length);
        if (written < 0) lost++;
        else carried++;
        drop_first(link);
      }
      if (link->first != NULL && (next_ns == 0 || link->first->due_ns < next_ns)) next_ns = link->first->due_ns;
    }
  }
  return next_ns;
}

static void obey(const char *line) {
  int from, to;
  unsigned long long micros;
  if (strcmp(line, "stats") == 0) {
    printf("ok %llu %llu %llu\n", (unsigned long long)carried, (unsigned long long)lost,
           (unsigned long long)(late_ns_max / 1000));
    carried = lost = late_ns_max = 0;
    return;
  }
  int is_delay = sscanf(line, "delay %d %d %llu", &from, &to, &micros) == 3;
  int is_cut = sscanf(line, "cut %d %d", &from, &to) == 2;
  int is_heal = sscanf(line, "heal %d %d", &from, &to) == 2;
  if ((!is_delay && !is_cut && !is_heal) || from < 0 || to < 0 || from >= count || to >= count) {
    printf("error what is '%s'?\n", line);
    return;
  }
  struct link *link = &links[from][to];
  if (is_delay) link->delay_ns = micros * 1000;
  if (is_heal) link->cut = 0;
  if (is_cut) {
    link->cut = 1;
    while (link->first != NULL) {
      drop_first(link);
      lost++;
    }
  }
  printf("ok\n");
}

/* Reads orders; ends the program at the end of stdin. */
static void read_orders(void) {
  static char line[256];
  static size_t length;
  char bytes[1024];
  ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
  if (got == 0) exit(0);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    die("reading orders");
  }
  for (ssize_t i = 0; i < got; i++) {
    if (bytes[i] == '\n') {
      line[length] = '\0';
      obey(line);
      length = 0;
    } else if (length < sizeof line - 1) {
      line[length++] = bytes[i];
    }
  }
  fflush(stdout);
}

int main(int argc, char **argv) {
  count = (argc - 1) / 3;
  if (argc % 3 != 1 || count < 2 || count > REGIONS_MAX) {
    fprintf(stderr, "usage: wan-delay NAMESPACE DEVICE ADDRESS [NAMESPACE DEVICE ADDRESS]...\n");
    return 2;
  }
  for (int i = 0; i < count; i++) {
    devices[i].fd = open_device(argv[1 + 3 * i], argv[2 + 3 * i]);
    devices[i].events = POLLIN;
    struct in_addr address;
    if (inet_pton(AF_INET, argv[3 + 3 * i], &address) != 1) {
      fprintf(stderr, "wan-delay: %s is no IPv4 address\n", argv[3 + 3 * i]);
      return 2;
    }
    addresses[i] = address.s_addr;
  }
  devices[count].fd = STDIN_FILENO;
  devices[count].events = POLLIN;
  /* A packet's time has come when it has come, however busy the servers are. Where that is refused it stays fair. */
  struct sched_param priority = {.sched_priority = 50};
  sched_setscheduler(0, SCHED_FIFO, &priority);
  prctl(PR_SET_TIMERSLACK, 1);
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    uint64_t next_ns = deliver();
    uint64_t now = now_ns();
    uint64_t wait_ns = next_ns > now ? next_ns - now : 0;
    struct timespec wait = {.tv_sec = wait_ns / 1000000000u, .tv_nsec = wait_ns % 1000000000u};
    int ready = ppoll(devices, count + 1, next_ns == 0 ? NULL : &wait, NULL);
    if (ready < 0 && errno != EINTR) die("ppoll");
    if (ready <= 0) continue;
    for (int i = 0; i < count; i++) {
      if (devices[i].revents != 0) receive(i);
    }
    if (devices[count].revents != 0) read_orders();
  }
}
