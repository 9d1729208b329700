# SPDX-License-Identifier: AGPL-3.0-or-later
#
# make                 passt and qrap
# make check           unit tests
# make check-deps      calls between modules against doc/layers
# make syscalls        system calls that passt makes at start, and those of the loop
# make bench           side by side with PEER=PATH and others, BENCH='--quick ...'
# make fuzz            fuzz targets: a fixed number of inputs, or FUZZ_S=SECONDS each
# make fuzz-coverage   lines of parsers that the inputs of fuzzing run
# make afl             AFL++ for FUZZ_S=SECONDS
# make install         PREFIX (/usr/local) and DESTDIR
# make B=DIR ...       objects and programs in another folder than build/
# make SAN=1 B=DIR ... with AddressSanitizer and UBSan
# make MSAN=1 B=DIR CC=clang ... with MemorySanitizer
# make HARDEN=no B=DIR ... without the flags that hinder attackers
# make WERROR=1 ...    warnings are errors, as in CI
#
# Needs a C compiler, libc and Linux kernel headers, nothing else.

VERSION  := $(shell git describe --tags --always 2>/dev/null || echo unknown)
PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
DATADIR  ?= $(PREFIX)/share
MANDIR   ?= $(DATADIR)/man
B        ?= build

CC       ?= cc
CFLAGS   ?= -O2 -g
WARN     := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wswitch-enum \
	    -Wstrict-prototypes -Wpointer-arith -Wdate-time \
	    -Wno-unused-parameter
ifdef WERROR
WARN     += -Werror
endif
ifdef SAN
override CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	    -fno-omit-frame-pointer
endif
ifdef MSAN
override CFLAGS += -fsanitize=memory -fno-omit-frame-pointer
endif

override CPPFLAGS += -D_GNU_SOURCE -I.
override CFLAGS   += -std=gnu11 $(WARN)

# The same source gives the same program, in whatever folder it is.
override CFLAGS   += -ffile-prefix-map=$(CURDIR)=.

# $(call takes,FLAGS): FLAGS, if compiler and linker take them together with
# those of the user, and <features.h> does not warn: it does if the compiler
# can't have _FORTIFY_SOURCE at this level.
takes = $(if $(shell \
	printf '\043include <features.h>\nint main(void) { return 0; }' | \
	$(CC) -Werror $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $1 \
	-Wl,--fatal-warnings -x c -o /dev/null - 2>/dev/null && echo y),$1)

# $(call each,FLAGS): those that are taken; most often all are
each = $(or $(call takes,$1),$(foreach flag,$1,$(call takes,$(flag))))

# Hardening flags; test/guards/hardening.py checks what they lead to. Sanitizers
# and valgrind find more without them: to these, a variable that the compiler
# has set to zero is initialised.
COMMA    := ,
FORTIFY  := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE
ifeq ($(filter no,$(HARDEN))$(SAN)$(MSAN),)
HARDENED := $(or $(call takes,$(FORTIFY)=3),$(call takes,$(FORTIFY)=2)) \
	    $(or $(call takes,-fcf-protection), \
	    $(call takes,-mbranch-protection=standard)) \
	    $(call each,-fstack-protector-strong -fstack-clash-protection \
	    -ftrivial-auto-var-init=zero)
HARDENED_LD := $(call each,$(addprefix -Wl$(COMMA)-z$(COMMA),relro now \
	    noexecstack separate-code))
# Does not go with -static, which means an address that is fixed.
PIE      := $(if $(filter -static -no-pie,$(CFLAGS) $(LDFLAGS)),, \
	    $(call takes,-fPIE -pie))
override CFLAGS  += $(HARDENED) $(filter -fPIE,$(PIE))
override LDFLAGS += $(HARDENED_LD) $(filter -pie,$(PIE))
endif

SRCS  := passt.c follow.c loop.c tap.c tcp.c udp.c icmp.c checksum.c clock.c ip.c iov.c \
	 rtnl.c log.c siphash.c sock.c util.c \
	 $(sort $(wildcard tap/*.c link/*.c answer/*.c flow/*.c forward/*.c conf/*.c \
	 host/*.c tcp/*.c udp/*.c icmp/*.c))
OBJS  := $(SRCS:%.c=$B/%.o)
LIB   := $(filter-out $B/passt.o,$(OBJS))
QRAP_OBJS := $(patsubst %.c,$B/%.o,qrap.c $(sort $(wildcard wrap/*.c)))
UNITS := $(patsubst test/unit/%.c,$B/unit/%,$(wildcard test/unit/*.c))

LINKED := tcp tcp_connecting tcp_discard tcp_many udp udp_flow udp_send udp_to_guest \
	  udp_too_long mcast icmp relay forged fragment reassemble \
	  reassemble_headers arp ndp ra dhcp dhcp_lease dhcpv6

all: $B/passt $B/qrap passt qrap

$B/passt: $(OBJS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJS)

# passt without its sandbox, for tests that preload a library which makes system
# calls of its own, and for valgrind.
$B/unconfined: $(OBJS:$B/host/sandbox.o=$B/host/unconfined.o)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$B/host/unconfined.o: host/sandbox.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -DUNCONFINED $(CFLAGS) -MMD -MP -c -o $@ $<

# The folder is wrap/: qrap, at the top level, is the program.
$B/qrap: $(QRAP_OBJS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(QRAP_OBJS)

# A new commit changes what --version says, and nothing else.
$B/conf/conf.o $B/unit/conf: override CPPFLAGS += -DVERSION='"$(VERSION)"'

# The programs where the README says they are.
ifeq ($B,build)
passt qrap: %: $B/%
	ln -sf $< $@
else
passt qrap: ;
endif

# A unit test includes the file it tests; what else it needs comes from here:
# the product, and a link between two arrays.
$B/passt.a: $(LIB) $B/test/memory.o
	rm -f $@
	$(AR) rcs $@ $^

$B/unit/%: test/unit/%.c $B/passt.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $B/passt.a

$B/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# What the programs below need, that deal with taps.
TAP   := $B/test/net/offload.o $B/test/net/tapdev.o $B/passt.a

# The stand-in guest of the tests and of the demo.
$B/standin: $(addprefix $B/test/net/,standin.o vhostguest.o vhostpair.o \
		vhostfront.o frontq.o) $(TAP)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

# A link that delays and loses, for tests and benchmark.
$B/emulate: $B/test/net/emulate.o $(TAP)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

standin: $B/standin $B/emulate $B/unconfined

# What the benchmark measures with.
$B/bench/%: $B/test/bench/%.o $B/passt.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $B/passt.a

$B/bench/floor: $B/test/bench/peer.o
$B/bench/ring_floor: $B/test/bench/peer.o $B/test/net/frontq.o

benches: $B/passt standin \
	 $(addprefix $B/bench/,floor ring_floor pour query rr spray)

bench: benches
	@test/setup bench
	@B=$B PEER='$(PEER)' test/bench/run $(BENCH)

# FUZZ=TARGETS: these only.
fuzz:
	@test/setup fuzz
	@FUZZ_S='$(FUZZ_S)' test/fuzz/run $(FUZZ)

fuzz-coverage:
	@test/setup fuzz
	@test/fuzz/coverage

afl:
	@test/setup fuzz afl
	@FUZZ_S='$(FUZZ_S)' test/fuzz/afl

units: $(UNITS) $B/unconfined

check: $(UNITS)
	@for t in $(abspath $(UNITS)); do $$t || exit 1; done
	@for t in $(addprefix $(abspath $B)/unit/,$(LINKED)); do \
		for m in scattered segmenting; do \
			LINK_MODE=$$m $$t || exit 1; done; done

# Those that move frames over a link: they run in each of its modes.
linked:
	@echo $(LINKED)

check-deps: all
	@B=$B test/guards/layers.py

# What libc does on its own: memory, fork(), abort() and the end of the program.
LIBC_CALLS := start: clone clone3 fstat newfstatat futex getpid getrandom gettid mmap mprotect mremap \
	      munmap restart_syscall rseq rt_sigprocmask set_robust_list set_tid_address tgkill \
	      run: brk exit_group vhost: rt_sigreturn

syscalls:
	@awk -v libc='$(LIBC_CALLS)' -f test/guards/syscalls.awk $(SRCS) | \
		LC_ALL=C sort

# The filters of system calls that host/seccomp.c installs.
$B/calls.h: $(SRCS) test/guards/syscalls.awk test/guards/calls.awk Makefile
	@mkdir -p $(@D)
	$(MAKE) -s --no-print-directory syscalls | awk -f test/guards/calls.awk >$@

$B/host/seccomp.o: $B/calls.h
$B/host/seccomp.o: override CPPFLAGS += -I$B

# BINDIR may be another one than before.
$B/50-passt.json: contrib/qemu/50-passt.json.in FORCE
	@mkdir -p $(@D)
	sed '/^#/d; s|@BINDIR@|$(BINDIR)|' $< >$@

install: all $B/50-passt.json
	install -D -m 755 $B/passt $(DESTDIR)$(BINDIR)/passt
	install -D -m 755 $B/qrap $(DESTDIR)$(BINDIR)/qrap
	install -D -m 644 doc/passt.1 $(DESTDIR)$(MANDIR)/man1/passt.1
	install -D -m 644 doc/qrap.1 $(DESTDIR)$(MANDIR)/man1/qrap.1
	install -D -m 644 $B/50-passt.json \
		$(DESTDIR)$(DATADIR)/qemu/vhost-user/50-passt.json

clean:
	rm -rf build passt qrap

-include $(OBJS:.o=.d) $(QRAP_OBJS:.o=.d) $(UNITS:=.d) \
	 $(wildcard $B/test/*.d $B/test/net/*.d $B/test/bench/*.d)

.PHONY: FORCE all check linked check-deps syscalls units standin benches bench fuzz fuzz-coverage afl \
	install clean
.DELETE_ON_ERROR:
.SECONDARY:
