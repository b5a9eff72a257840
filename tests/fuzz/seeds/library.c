/* What adapters look for in the files of CPython 3.11, greenlet and glibc, in one small library: an input for the fuzzer.
 *
 * gcc -O2 -fcf-protection -fPIC -shared -nostdlib -s -Wl,-z,noseparate-code,-z,max-page-size=4096,--build-id=none \
 *     -o ../corpus/elf/python library.c
 */
typedef struct {
    long references;
    void *type;
} Object;

typedef struct {
    Object object;
    long size;
    const char *name;
    long basic_size, item_size;
    void (*dealloc)(Object *);
} Type;

typedef struct {
    const char *name;
    void *(*function)(void *);
    int flags;
    const char *doc;
} Method;

const unsigned Py_Version = 0x030b07f0;
char _PyRuntime[4096] = {1};
Object _Py_NoneStruct = {1, 0};

static Object *freed;
static int freed_count;

static void context_dealloc(Object *context) {
    freed = context;
    freed_count++;
}

static void greenlet_dealloc(Object *greenlet) {
    greenlet->references--;
}

Type PyContext_Type = {{1, 0}, 0, "Context", 72, 0, context_dealloc};
Type PyGreenlet_Type = {{1, 0}, 0, "greenlet", 72, 0, greenlet_dealloc};
__thread void *current;

__attribute__((noinline)) Object *_PyObject_GC_New(Type *type) {
    type->object.references++;
    return current;
}

__attribute__((noinline)) void _Py_NewReference(Object *object) {
    object->references = 1;
}

static __attribute__((noinline)) Object *context_alloc(void) {
    Object *context;
    if (freed_count) {
        freed_count--;
        context = freed;
        _Py_NewReference(context);
    } else {
        context = _PyObject_GC_New(&PyContext_Type);
        if (!context)
            return 0;
    }
    context->type = &PyContext_Type;
    return context;
}

Object *PyContext_CopyCurrent(void) {
    Object *context = context_alloc();
    if (context)
        context->references++;
    return context;
}

/* The constructor of greenlet::UserGreenlet, whole and of the base. */
void _ZN8greenlet12UserGreenletC1EP9_greenletNS_4refs14BorrowedObjectE(void *self) {
    current = self;
}

void _ZN8greenlet12UserGreenletC2EP9_greenletNS_4refs14BorrowedObjectE(void *self) {
    current = self;
}

static void *first(void *self) { return self; }
static void *second(void *self) { return (char *)first(self) + 1; }
static void *third(void *self) { return (char *)second(self) + 2; }
static void *fourth(void *self) { return (char *)third(self) + 3; }
static void *fifth(void *self) { return (char *)fourth(self) + 4; }

Method deque_methods[] = {{"append", first}, {"appendleft", second}, {"popleft", third}, {0}};
Method queue_methods[] = {{"get", second}, {"get_nowait", third}, {"put", fourth}, {"put_nowait", fifth}, {0}};

char single_threaded;
__asm__(".globl read\n.type read, @function\n"
        "read: cmpb $0, single_threaded@GOTPCREL(%rip)\n je 1f\n"
        " xor %eax, %eax\n syscall\n cmp $-4096, %rax\n ja 2f\n ret\n"
        "1: mov $0, %eax\n syscall\n cmp $-4096, %rax\n ja 2f\n ret\n"
        "2: ret\n.size read, . - read\n"
        ".globl write\n.type write, @function\n"
        "write: cmpb $0, single_threaded@GOTPCREL(%rip)\n je 1f\n"
        " mov $1, %eax\n syscall\n ret\n"
        "1: mov $1, %eax\n syscall\n ret\n.size write, . - write\n");
