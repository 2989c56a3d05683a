/* The protocols that --protocol can name. */
#include "load.h"

const struct protocol *const protocols[] = { &protocol_appsync, NULL };
