/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * list.h - A circular doubly linked list. The structures in a list contain
 * struct list as a member. A struct list that is in no list points to itself,
 * so that removing it twice is harmless.
 */
#ifndef LIST_H
#define LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* list_push() - Append to list @head a member that is in no list */
static inline void list_push(struct list *head, struct list *m)
{
	m->prev = head->prev;
	m->next = head;
	head->prev->next = m;
	head->prev = m;
}

static inline void list_remove(struct list *m)
{
	m->prev->next = m->next;
	m->next->prev = m->prev;
	list_init(m);
}

/* list_pop() - Remove the first member; NULL: the list is empty */
static inline struct list *list_pop(struct list *head)
{
	struct list *m = head->next;

	if (m == head)
		return NULL;
	list_remove(m);
	return m;
}

#endif /* LIST_H */
