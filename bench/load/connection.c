/* Sockets, the loop around them, HTTP, and messages in and out of frames. */
#include "load.h"
#include "websocket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_EVENTS 512

struct setup setup;
atomic_bool slow_paused, stopping;

/* ---- Buffers ---- */

uint8_t *buffer_extend(struct buffer *buffer, size_t length)
{
    size_t needed = buffer->length + length;
    if (needed > buffer->capacity) {
        size_t capacity = buffer->capacity * 2 > needed ? buffer->capacity * 2 : needed;
        buffer->data = realloc(buffer->data, capacity);
        if (buffer->data == NULL) {
            fail("out of memory");
        }
        buffer->capacity = capacity;
    }
    uint8_t *end = buffer->data + buffer->length;
    buffer->length = needed;
    return end;
}

void buffer_append(struct buffer *buffer, const void *data, size_t length)
{
    memcpy(buffer_extend(buffer, length), data, length);
}

/* ---- Sessions ---- */

static void watch(struct session *session, int operation)
{
    struct epoll_event event = {
        .events = EPOLLET | (session->paused ? 0 : EPOLLIN) | (session->waits_for_room ? EPOLLOUT : 0),
        .data.ptr = session,
    };
    if (epoll_ctl(session->worker->epoll, operation, session->socket, &event) != 0) {
        fail("epoll_ctl: %s", strerror(errno));
    }
}

static void session_close(struct session *session)
{
    close(session->socket);
    session->state = CLOSED;
    session->stash_length = 0;
    session->assembly.length = 0;
    session->fragmented = false;
    session->connection.out.length = 0;
    session->waits_for_room = false;
}

void session_reset(struct session *session)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(session->socket, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    session_close(session);
}

/* The other side ended it. */
static void session_lost(struct session *session, int error)
{
    struct worker *worker = session->worker;
    const struct connection *connection = &session->connection;
    uint8_t state = session->state;
    session_close(session);
    COUNT(worker->lost, 1);
    if (!session->slow && !setup.may_close) {
        static const char *const states[] = { "unused", "connecting", "saying hello", "subscribing", "in use", "closed" };
        fail("the connection of %s %u ended while %s (close code %u, %s)", connection->publisher ? "publisher" : "subscriber",
            connection->number, states[state], session->close_code, error != 0 ? strerror(error) : "end of stream");
    }
}

static void session_start(struct session *session)
{
    struct worker *worker = session->worker;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(session->port) };
    int on = 1;
    session->started_ns = worker->now_ns;
    session->starts++;
    session->close_code = 0;
    session->expected = 0;
    memset(session->connection.state, 0, sizeof session->connection.state);
    if (inet_pton(AF_INET, setup.address, &address.sin_addr) != 1) {
        fail("--host must be an IPv4 address");
    }
    session->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (session->socket < 0) {
        fail("socket: %s", strerror(errno));
    }
    if (session->connection.publisher) { /* subscribers wait for an answer before they send more */
        setsockopt(session->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (session->slow) {
        setsockopt(session->socket, SOL_SOCKET, SO_RCVBUF, &setup.receive_buffer_slow, sizeof setup.receive_buffer_slow);
    }
    if (setup.spread_sources) {
        struct sockaddr_in source = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002 + session->connection.number % 16) };
        setsockopt(session->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(session->socket, (struct sockaddr *)&source, sizeof source) != 0) {
            fail("bind: %s", strerror(errno));
        }
    }
    worker->starting++;
    if (connect(session->socket, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) {
        fail("connect to port %u: %s", session->port, strerror(errno));
    }
    watch(session, EPOLL_CTL_ADD);
    if (session->connection.http) {
        session->state = OPENING;
        connected(&session->connection);
    } else {
        struct upgrade upgrade = { .path = "", .headers = "" };
        protocol->upgrade(&session->connection, &upgrade);
        websocket_request(&session->connection.out, &upgrade);
        session->state = UPGRADING;
        session_flush(session); /* within one machine the connection is often there already */
    }
}

static void session_ready(struct session *session)
{
    struct worker *worker = session->worker;
    session->state = READY;
    worker->starting--;
    histogram_record(worker->connect, worker->now_ns - session->started_ns);
    if (atomic_load_explicit(&setup.storm, memory_order_relaxed) && !session->connection.publisher) {
        COUNT(worker->connects, 1);
        session_reset(session);
        if (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
            session_start(session);
        }
    } else {
        COUNT(worker->ready, 1);
    }
}

void connected(struct connection *connection)
{
    struct session *session = (struct session *)connection;
    if (session->state != OPENING) {
        fail("connected twice");
    }
    if (connection->publisher) {
        session_ready(session);
    } else {
        session->state = SUBSCRIBING;
        protocol->subscribe(connection);
    }
}

void subscribed(struct connection *connection)
{
    struct session *session = (struct session *)connection;
    if (session->state != SUBSCRIBING) {
        fail("subscribed twice");
    }
    session_ready(session);
}

void session_flush(struct session *session)
{
    struct buffer *out = &session->connection.out;
    if (out->length == 0 || session->state == CLOSED) {
        return;
    }
    ssize_t sent = send(session->socket, out->data, out->length, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) {
            session_lost(session, errno);
            return;
        }
        sent = 0;
    }
    out->length -= (size_t)sent;
    if (out->length > 0) {
        memmove(out->data, out->data + sent, out->length);
    }
    if (session->waits_for_room != (out->length > 0)) {
        session->waits_for_room = out->length > 0;
        watch(session, EPOLL_CTL_MOD);
    }
}

uint8_t *websocket_begin(struct connection *connection, size_t length)
{
    return frame_begin(&connection->out, protocol->binary ? BINARY : TEXT, length);
}

void websocket_send(struct connection *connection, const void *data, size_t length)
{
    memcpy(websocket_begin(connection, length), data, length);
}

void failed(struct connection *connection, const char *what, const void *data, size_t length)
{
    fail("%s %u: %s: %.*s", connection->publisher ? "publisher" : "subscriber", connection->number, what, (int)(length < 1000 ? length : 1000),
        (const char *)data);
}

/* ---- What arrives ---- */

/* Hands over a whole message, or more of a stream; what a stream's reader leaves is kept before what comes next. */
static void receive_message(struct session *session, const uint8_t *data, size_t length)
{
    struct buffer *assembly = &session->assembly;
    if (!protocol->stream) {
        protocol->receive(&session->connection, data, length);
        return;
    }
    if (assembly->length > 0) {
        buffer_append(assembly, data, length);
        data = assembly->data;
        length = assembly->length;
    }
    uint32_t start = session->starts;
    size_t consumed = protocol->receive(&session->connection, data, length);
    if (session->state == CLOSED || session->starts != start) {
        return;
    }
    if (assembly->length > 0) {
        memmove(assembly->data, assembly->data + consumed, length - consumed);
        assembly->length = length - consumed;
    } else if (consumed < length) {
        buffer_append(assembly, data + consumed, length - consumed);
    }
}

static void receive_frame(struct session *session, const struct frame *frame, const uint8_t *payload)
{
    struct buffer *assembly = &session->assembly;
    switch (frame->opcode) {
    case TEXT:
    case BINARY:
    case CONTINUATION:
        if (protocol->stream || (frame->final && !session->fragmented)) {
            receive_message(session, payload, frame->length);
            return;
        }
        buffer_append(assembly, payload, frame->length);
        session->fragmented = !frame->final;
        if (frame->final) {
            protocol->receive(&session->connection, assembly->data, assembly->length);
            assembly->length = 0;
        }
        return;
    case PING:
        memcpy(frame_begin(&session->connection.out, PONG, frame->length), payload, frame->length);
        return;
    case CLOSE:
        session->close_code = frame->length >= 2 ? (uint32_t)payload[0] << 8 | payload[1] : 1005;
        memcpy(frame_begin(&session->connection.out, CLOSE, frame->length >= 2 ? 2 : 0), payload, frame->length >= 2 ? 2 : 0);
        return;
    case PONG:
        return;
    default:
        failed(&session->connection, "a frame of an unknown kind", payload, 0);
    }
}

static const uint8_t *header_value(const uint8_t *head, size_t length, const char *name)
{
    const uint8_t *end = head + length, *line = head;
    size_t name_length = strlen(name);
    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        line++;
        if ((size_t)(end - line) > name_length && strncasecmp((const char *)line, name, name_length) == 0) {
            return line + name_length;
        }
    }
    return NULL;
}

/* The length of the answer that begins at `data`, or 0 while its end has not come. */
static size_t receive_http(struct session *session, uint8_t *data, size_t length)
{
    uint8_t *end = memmem(data, length, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    size_t head = (size_t)(end - data) + 4;
    int status = length > 12 ? atoi((const char *)data + 9) : 0;
    const uint8_t *content_length = header_value(data, head, "content-length:");
    if (content_length != NULL || status == 204 || status == 304) {
        size_t body = content_length != NULL ? strtoul((const char *)content_length, NULL, 10) : 0;
        if (length - head < body) {
            return 0;
        }
        protocol->posted(&session->connection, status, data + head, body);
        return head + body;
    }
    if (header_value(data, head, "transfer-encoding:") == NULL) {
        failed(&session->connection, "an answer without a length", data, head);
    }
    size_t at = head, body = 0;
    uint8_t *text = data + head; /* the chunks are moved together over their headers */
    bool whole = false;
    for (int pass = 0; pass < 2; pass++) {
        for (at = head, body = 0;;) {
            uint8_t *line = memmem(data + at, length - at, "\r\n", 2);
            if (line == NULL) {
                return 0;
            }
            size_t size = strtoul((const char *)data + at, NULL, 16);
            at = (size_t)(line - data) + 2;
            if (length - at < size + 2) {
                return 0;
            }
            if (whole) {
                memmove(text + body, data + at, size);
            }
            body += size;
            at += size + 2;
            if (size == 0) {
                break;
            }
        }
        if (whole) {
            break;
        }
        whole = true; /* nothing is moved before the last chunk is there */
    }
    protocol->posted(&session->connection, status, text, body);
    return at;
}

static size_t receive_upgrade(struct session *session, uint8_t *data, size_t length)
{
    uint8_t *end = memmem(data, length, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    size_t head = (size_t)(end - data) + 4;
    if (!websocket_accepted(data, head)) {
        failed(&session->connection, "the upgrade was refused", data, length);
    }
    session->state = OPENING;
    protocol->opened(&session->connection);
    return head;
}

/* Consumes what is whole, and returns how much that was. */
static size_t receive_bytes(struct session *session, uint8_t *data, size_t length)
{
    size_t at = 0;
    uint32_t start = session->starts;
    while (at < length && session->state != CLOSED && session->starts == start) {
        if (session->connection.http || session->state == UPGRADING) {
            size_t consumed = session->connection.http ? receive_http(session, data + at, length - at) : receive_upgrade(session, data + at, length - at);
            if (consumed == 0) {
                break;
            }
            at += consumed;
            continue;
        }
        struct frame frame;
        enum frame_result result = frame_parse(data + at, length - at, &frame);
        if (result == FRAME_BROKEN) {
            failed(&session->connection, "a broken frame", data + at, 0);
        }
        if (result == FRAME_PARTIAL) {
            break;
        }
        receive_frame(session, &frame, data + at + frame.header_length);
        at += frame.header_length + frame.length;
    }
    return at;
}

/*
 * Reads once, and returns whether there may be more. One buffer for all connections: it stays in the cache, and what is left of a message is
 * kept in a small one of the connection.
 */
static bool session_read(struct session *session)
{
    struct worker *worker = session->worker;
    size_t kept = session->stash_length;
    if (worker->buffer_capacity < kept + setup.receive_size) {
        free(worker->buffer);
        worker->buffer_capacity = 2 * (kept + setup.receive_size);
        worker->buffer = malloc(worker->buffer_capacity);
        if (worker->buffer == NULL) {
            fail("out of memory");
        }
    }
    if (kept > 0) {
        memcpy(worker->buffer, session->stash, kept);
    }
    ssize_t received = recv(session->socket, worker->buffer + kept, setup.receive_size, 0);
    worker->now_ns = now_ns();
    if (received <= 0) {
        if (received == 0 || errno != EAGAIN) {
            session_lost(session, received == 0 ? 0 : errno);
        }
        return false;
    }
    size_t length = kept + (size_t)received;
    uint32_t start = session->starts;
    size_t consumed = receive_bytes(session, worker->buffer, length);
    if (session->state == CLOSED || session->starts != start) {
        return false; /* what was left belongs to a connection that is no more */
    }
    size_t rest = length - consumed;
    if (rest > session->stash_capacity) {
        session->stash_capacity = (uint32_t)(rest * 2);
        free(session->stash);
        session->stash = malloc(session->stash_capacity);
        if (session->stash == NULL) {
            fail("out of memory");
        }
    }
    if (rest > 0) {
        memcpy(session->stash, worker->buffer + consumed, rest);
    }
    session->stash_length = (uint32_t)rest;
    session_flush(session);
    return (size_t)received == setup.receive_size && session->state != CLOSED;
}

static void session_event(struct session *session, uint32_t events)
{
    if (events & EPOLLOUT) {
        session_flush(session);
    }
    if (session->paused) {
        if (events & (EPOLLERR | EPOLLHUP)) {
            int error = 0;
            socklen_t length = sizeof error;
            getsockopt(session->socket, SOL_SOCKET, SO_ERROR, &error, &length);
            session_lost(session, error);
        }
    } else if (session->state != CLOSED && (events & (EPOLLIN | EPOLLERR | EPOLLHUP))) {
        while (session_read(session)) { /* the loop is told of what arrives (EPOLLET), not of what is there */
        }
    }
}

/* ---- Workers ---- */

void worker_open(struct worker *worker)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    worker->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->delivery = calloc(1, sizeof *worker->delivery);
    worker->acknowledgement = calloc(1, sizeof *worker->acknowledgement);
    worker->connect = calloc(1, sizeof *worker->connect);
    if (worker->epoll < 0 || worker->wake < 0 || worker->delivery == NULL || worker->acknowledgement == NULL || worker->connect == NULL
        || epoll_ctl(worker->epoll, EPOLL_CTL_ADD, worker->wake, &event) != 0) {
        fail("no worker: %s", strerror(errno));
    }
    worker->now_ns = now_ns();
}

static void pause_slow(struct worker *worker, bool paused)
{
    for (uint32_t i = 0; i < worker->session_count; i++) {
        struct session *session = worker->sessions[i];
        if (session->slow && session->state == READY) {
            session->paused = paused;
            watch(session, EPOLL_CTL_MOD);
        }
    }
    worker->slow_paused = paused;
}

/* Spreads the ticks of all sessions over the time between two of the same session. */
static void tick(struct worker *worker)
{
    uint64_t period = (uint64_t)protocol->tick_seconds * 1000000000u;
    uint32_t target = (uint32_t)(worker->now_ns % period * worker->session_count / period);
    while (worker->tick_cursor != target) {
        struct session *session = worker->sessions[worker->tick_cursor];
        if (session->state == READY && !session->connection.http) {
            protocol->tick(&session->connection);
            session_flush(session);
        }
        worker->tick_cursor = (worker->tick_cursor + 1) % worker->session_count;
    }
}

void worker_turn(struct worker *worker, uint64_t until_ns)
{
    struct epoll_event events[TURN_EVENTS];
    while (worker->next_to_start < worker->session_count && worker->starting < setup.concurrency
        && worker->next_to_start < atomic_load_explicit(&worker->start_limit, memory_order_relaxed)) {
        session_start(worker->sessions[worker->next_to_start++]);
    }
    if (worker->slow_paused != atomic_load_explicit(&slow_paused, memory_order_relaxed)) {
        pause_slow(worker, !worker->slow_paused);
    }
    if (protocol->tick_seconds > 0) {
        tick(worker);
    }
    if (worker->publishes) {
        flow_publish();
        if (flow.on && flow.rate > 0 && flow.next_due_ns < until_ns) {
            until_ns = flow.next_due_ns;
        }
    }
    uint64_t now = now_ns();
    uint64_t wait = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = { .tv_sec = (time_t)(wait / 1000000000u), .tv_nsec = (long)(wait % 1000000000u) };
    int count = epoll_pwait2(worker->epoll, events, TURN_EVENTS, &timeout, NULL);
    worker->now_ns = now_ns();
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == NULL) {
            uint64_t value;
            if (read(worker->wake, &value, sizeof value) < 0 && errno != EAGAIN) {
                fail("eventfd: %s", strerror(errno));
            }
            continue;
        }
        session_event(events[i].data.ptr, events[i].events);
        if (worker->publishes && flow.on && flow.rate > 0 && worker->now_ns >= flow.next_due_ns) {
            flow_publish();
        }
    }
    if (worker->completed) {
        worker->completed = false;
        uint64_t one = 1;
        if (!worker->publishes && write(flow.publishers[0].session->worker->wake, &one, sizeof one) < 0 && errno != EAGAIN) {
            fail("eventfd: %s", strerror(errno));
        }
    }
}
