/*
 * An intrusive, circular, doubly linked list. A node that is in no list is zero, so that zeroed structs
 * need no set-up; a list is initialised before its first use. Not synchronised.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_LIST_H
#define AIOCTX_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct AioNode {
    struct AioNode *next; /* linked; NULL: in no list */
    struct AioNode *prev; /* linked */
} AioNode;

typedef struct AioList {
    AioNode head;
} AioList;

/* The struct of `type` whose member is at `node`. Each module names this conversion once. */
#define AIO_CONTAINER_OF(node, type, member)                                                       \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void aio__list_init(AioList *list)
{
    list->head.next = list->head.prev = &list->head;
}

static inline bool aio__list_empty(const AioList *list)
{
    return list->head.next == &list->head;
}

static inline bool aio__node_linked(const AioNode *node)
{
    return node->next != NULL;
}

static inline void aio__list_push(AioList *list, AioNode *node)
{
    node->prev = list->head.prev;
    node->next = &list->head;
    node->prev->next = node;
    list->head.prev = node;
}

static inline void aio__list_push_front(AioList *list, AioNode *node)
{
    node->next = list->head.next;
    node->prev = &list->head;
    node->next->prev = node;
    list->head.next = node;
}

/* Take a node out of its list; nothing happens where it is in none. */
static inline void aio__node_unlink(AioNode *node)
{
    if (!node->next) {
        return;
    }
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}

/* The first node, or NULL. */
static inline AioNode *aio__list_first(const AioList *list)
{
    return aio__list_empty(list) ? NULL : list->head.next;
}

/* The last node, or NULL. */
static inline AioNode *aio__list_last(const AioList *list)
{
    return aio__list_empty(list) ? NULL : list->head.prev;
}

/* The node after `node`, or NULL at the end. */
static inline AioNode *aio__list_next(const AioList *list, const AioNode *node)
{
    return node->next == &list->head ? NULL : node->next;
}

static inline AioNode *aio__list_pop(AioList *list)
{
    AioNode *node = aio__list_first(list);
    if (node) {
        aio__node_unlink(node);
    }
    return node;
}

/* Append all nodes of `from` to `to`; `from` is empty afterwards. */
static inline void aio__list_splice(AioList *to, AioList *from)
{
    if (aio__list_empty(from)) {
        return;
    }
    from->head.next->prev = to->head.prev;
    to->head.prev->next = from->head.next;
    from->head.prev->next = &to->head;
    to->head.prev = from->head.prev;
    aio__list_init(from);
}

#endif
