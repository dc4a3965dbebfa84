/* The limit: one SYN to each address of a power of two, in the order of Lead Apron's, with sendmmsg on a raw socket; SYN-ACKs
   are read from a packet socket that a filter keeps everything else out of. One thread.
   Usage: syn_loop FIRST_ADDRESS BITS PORT COOLDOWN_MS
   Cookies are a keyed mix, not AES; options, lengths and checksums are those of Lead Apron's packets. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum { BATCH = 1024, SIZE = 60, FRAME = 256, FRAMES = 1 << 12, BLOCK = 1 << 16, LOW_PORT = 61000, PORTS = 65536 - LOW_PORT };

static const uint32_t STRIDE = 0x9E3779B1;
static unsigned char packets[BATCH][SIZE] __attribute__((aligned(64)));
static struct sockaddr_in places[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];
static uint64_t key = 0x5DEECE66D1234567;
static uint32_t own, inverse, first, mask;
static unsigned char *seen, *ring;
static int port, head;
static long accepted, invalid;

static uint64_t cookie(uint32_t address) {
    uint64_t x = (address ^ key) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static uint16_t own_port(uint64_t mixed) { return LOW_PORT + ((mixed >> 48) * PORTS >> 16); }

static uint16_t folded(uint64_t sum) {
    while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
    return ~sum;
}

static void prepare(void) {
    static const unsigned char template[SIZE] = {
        0x45, 0, 0, SIZE, 0, 0, 0x40, 0, 64, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0xA0, 2, 0xFA, 0xF0, 0, 0, 0, 0, 2, 4, 5, 0xB4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7};
    for (int i = 0; i < BATCH; i++) {
        memcpy(packets[i], template, SIZE);
        put_be32(packets[i] + 12, own);
        put_be16(packets[i] + 22, port);
        places[i].sin_family = AF_INET;
        vectors[i] = (struct iovec){packets[i], SIZE};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &places[i], .msg_namelen = sizeof places[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
}

static void fill(int i, uint32_t address) {
    unsigned char *p = packets[i];
    uint64_t mixed = cookie(address), sum = 6 + SIZE - 20;
    places[i].sin_addr.s_addr = htonl(address);
    put_be16(p + 4, mixed >> 32);
    put_be32(p + 16, address);
    put_be16(p + 20, own_port(mixed));
    put_be32(p + 24, mixed);
    put_be32(p + 48, mixed >> 16);
    put_be16(p + 36, 0);
    for (int at = 12; at < SIZE; at += 4) sum += be32(p + at);
    put_be16(p + 36, folded(sum));
}

static int open_ring(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 8),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, LOW_PORT, 0, 5),
        BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x16),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x12, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 160),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    struct tpacket_req request = {BLOCK, FRAMES * FRAME / BLOCK, FRAME, FRAMES};
    struct sockaddr_ll everywhere = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, 0), version = TPACKET_V2, one = 1;
    if (fd < 0) die("packet socket");
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program)) die("filter");
    if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version)) die("version");
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one)) die("outgoing");
    if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request)) die("ring");
    ring = mmap(NULL, FRAMES * FRAME, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ring == MAP_FAILED) die("mmap");
    if (bind(fd, (void *)&everywhere, sizeof everywhere)) die("bind");
    return fd;
}

static void hear(void) {
    for (;; head = (head + 1) % FRAMES) {
        struct tpacket2_hdr *frame = (void *)(ring + (size_t)head * FRAME);
        if (!(*(volatile uint32_t *)&frame->tp_status & TP_STATUS_USER)) return;
        unsigned char *ip = (unsigned char *)frame + frame->tp_net, *tcp = ip + 4 * (ip[0] & 15);
        uint32_t address = be32(ip + 12), offset = address - first, index = offset * inverse & mask;
        uint64_t mixed = cookie(address);
        if (offset > mask || be16(tcp) != (uint32_t)port || be32(tcp + 8) - 1 != (uint32_t)mixed ||
            be16(tcp + 2) != own_port(mixed)) invalid++;
        else if (!seen[index]) seen[index] = 1, accepted++;
        *(volatile uint32_t *)&frame->tp_status = TP_STATUS_KERNEL;
    }
}

static uint32_t own_address(uint32_t towards) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(towards)};
    socklen_t length = sizeof place;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(fd, (void *)&place, sizeof place) || getsockname(fd, (void *)&place, &length)) die("source");
    close(fd);
    return ntohl(place.sin_addr.s_addr);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    first = ntohl(inet_addr(argv[1]));
    int bits = atoi(argv[2]);
    double cooldown = atoi(argv[4]) / 1e3;
    uint64_t targets = 1ull << bits, asked = 0;
    port = atoi(argv[3]);
    mask = targets - 1;
    inverse = STRIDE;
    for (int i = 0; i < 5; i++) inverse *= 2 - STRIDE * inverse;
    own = own_address(first);
    key ^= (uint64_t)getpid() << 32 ^ (uint64_t)(now() * 1e6);
    seen = calloc(targets, 1);
    prepare();
    open_ring();
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    if (fd < 0) die("raw socket");
    double begun = now();
    while (asked < targets) {
        int batch = targets - asked < BATCH ? targets - asked : BATCH;
        for (int i = 0; i < batch; i++) fill(i, first + ((uint32_t)(asked + i) * STRIDE & mask));
        for (int done = 0; done < batch;) {
            int sent = sendmmsg(fd, messages + done, batch - done, 0);
            if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) die("sendmmsg");
            if (sent > 0) done += sent;
        }
        asked += batch;
        hear();
    }
    double seconds = now() - begun;
    for (double until = now() + cooldown; now() < until; usleep(1000)) hear();
    printf("{\"done\": %llu, \"accepted\": %ld, \"invalid\": %ld, \"seconds\": %.6f, \"cpu\": %.3f}\n",
           (unsigned long long)asked, accepted, invalid, seconds, cpu_seconds());
    return 0;
}
