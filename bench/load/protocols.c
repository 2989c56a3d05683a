/* The protocols that --protocol can name. */
#include "load.h"

const struct protocol *const protocols[] = {
    &protocol_appsync, &protocol_nats, &protocol_mqtt, &protocol_nchan, &protocol_signalr, &protocol_socketio, NULL,
};
