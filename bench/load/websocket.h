/* RFC 6455, the client's side. */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include "protocol.h"

#include <endian.h>

enum opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

struct frame {
    bool final;
    uint8_t opcode;
    size_t header_length, length;
};

enum frame_result { FRAME_WHOLE, FRAME_PARTIAL, FRAME_BROKEN };

/* Looks at the frame that begins at `data`. */
static inline enum frame_result frame_parse(const uint8_t *data, size_t available, struct frame *frame)
{
    if (available < 2) {
        return FRAME_PARTIAL;
    }
    frame->final = data[0] & 0x80;
    frame->opcode = data[0] & 0x0f;
    frame->header_length = 2;
    frame->length = data[1];
    if ((data[0] & 0x70) != 0 || (data[1] & 0x80) != 0) {
        return FRAME_BROKEN; /* no extension was negotiated, and servers do not mask */
    }
    if (frame->length == 126) {
        if (available < 4) {
            return FRAME_PARTIAL;
        }
        frame->length = (size_t)data[2] << 8 | data[3];
        frame->header_length = 4;
    } else if (frame->length == 127) {
        uint64_t length;
        if (available < 10) {
            return FRAME_PARTIAL;
        }
        memcpy(&length, data + 2, 8);
        frame->length = be64toh(length);
        frame->header_length = 10;
        if (frame->length > 1u << 30) {
            return FRAME_BROKEN;
        }
    }
    return available - frame->header_length >= frame->length ? FRAME_WHOLE : FRAME_PARTIAL;
}

/* Adds a frame with the mask key 0, under which the payload stays as it is, and returns where it is to be written. */
uint8_t *frame_begin(struct buffer *out, enum opcode opcode, size_t length);

void websocket_request(struct buffer *out, const struct upgrade *upgrade);

/* Whether the head of an answer, `length` bytes with the empty line, accepts what websocket_request asked. */
bool websocket_accepted(const uint8_t *head, size_t length);

#endif
