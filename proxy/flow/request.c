#include "proxy/flow/request.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/net/log.h"

enum { FIRST_CAPACITY = 8 };

static void grow(struct request_queue *queue)
{
    uint32_t count = request_count(queue);
    uint32_t capacity = queue->ring ? 2 * (queue->mask + 1) : FIRST_CAPACITY;
    struct request *ring = malloc(capacity * sizeof(*ring));

    if (!ring)
        end_out_of_memory(capacity * sizeof(*ring));
    for (uint32_t i = 0; i < count; i++)
        ring[i] = *request_at(queue, i);
    free(queue->ring);
    queue->ring = ring;
    queue->mask = capacity - 1;
    queue->head = 0;
    queue->tail = count;
}

struct request *request_push(struct request_queue *queue)
{
    if (!queue->ring || request_count(queue) == queue->mask + 1)
        grow(queue);
    struct request *request = &queue->ring[queue->tail++ & queue->mask];
    memset(request, 0, sizeof(*request));
    request->replies = 1;
    return request;
}

void request_queue_finish(struct request_queue *queue)
{
    free(queue->ring);
    memset(queue, 0, sizeof(*queue));
}
