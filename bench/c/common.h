/* What the four programs share. Sizes are fixed: these are measuring sticks for loopback, not servers. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { PDU_ASSOCIATE_RQ = 1, PDU_ASSOCIATE_AC = 2, PDU_DATA = 4, PDU_RELEASE_RQ = 5, PDU_RELEASE_RP = 6, PDU_ABORT = 7 };

static inline void die(const char *what) { perror(what); exit(1); }

static inline uint32_t be16(const unsigned char *p) { return (uint32_t)p[0] << 8 | p[1]; }
static inline uint32_t be32(const unsigned char *p) { return be16(p) << 16 | be16(p + 2); }
static inline uint32_t le16(const unsigned char *p) { return (uint32_t)p[1] << 8 | p[0]; }
static inline uint32_t le32(const unsigned char *p) { return le16(p + 2) << 16 | le16(p); }
static inline void put_be16(unsigned char *p, uint32_t v) { p[0] = v >> 8; p[1] = v; }
static inline void put_be32(unsigned char *p, uint32_t v) { put_be16(p, v >> 16); put_be16(p + 2, v); }
static inline void put_le16(unsigned char *p, uint32_t v) { p[0] = v; p[1] = v >> 8; }
static inline void put_le32(unsigned char *p, uint32_t v) { put_le16(p, v); put_le16(p + 2, v >> 16); }

static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static inline double cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static inline size_t read_file(const char *path, unsigned char *to, size_t room) {
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    size_t length = fread(to, 1, room, file);
    fclose(file);
    return length;
}

static inline unsigned char *item(unsigned char *p, int type, const void *value, size_t length) {
    p[0] = type;
    p[1] = 0;
    put_be16(p + 2, length);
    memcpy(p + 4, value, length);
    return p + 4 + length;
}

/* Accept every presentation context of a request with implicit VR little endian (PS3.8 9.3.3). Returns the length. */
static inline size_t accept_association(const unsigned char *request, size_t length, unsigned char *out) {
    static const char application[] = "1.2.840.10008.3.1.1.1", syntax[] = "1.2.840.10008.1.2", class_uid[] = "2.25.1";
    unsigned char *p = out + 74;
    memcpy(out, request, 74);
    out[0] = PDU_ASSOCIATE_AC;
    p = item(p, 0x10, application, sizeof application - 1);
    for (size_t i = 74; i + 4 <= length; i += 4 + be16(request + i + 2))
        if (request[i] == 0x20) {
            unsigned char value[64] = {request[i + 4], 0, 0, 0};
            unsigned char *end = item(value + 4, 0x40, syntax, sizeof syntax - 1);
            p = item(p, 0x21, value, end - value);
        }
    unsigned char user[64], *end, maximum[4];
    put_be32(maximum, 16384);
    end = item(user, 0x51, maximum, 4);
    end = item(end, 0x52, class_uid, sizeof class_uid - 1);
    end = item(end, 0x55, "BENCH", 5);
    p = item(p, 0x50, user, end - user);
    put_be32(out + 2, p - out - 6);
    return p - out;
}

#endif
