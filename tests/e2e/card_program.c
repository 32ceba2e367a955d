/* Computes on the first card that the process sees, for so many seconds; says how often, and whether all was right.
 *
 * Uses the driver alone (no CUDA runtime): its functions are looked up in libcuda.so.1, which a machine without a card
 * does not have.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { VALUES = 1 << 24, THREADS = 256, LAUNCHES_AT_ONCE = 64 };

static const char *ADD_ONE =
    ".version 7.0\n.target sm_50\n.address_size 64\n"
    ".visible .entry add_one(.param .u64 values, .param .u32 count) {\n"
    "  .reg .pred %beyond; .reg .u32 %r<5>; .reg .u64 %a<3>; .reg .u32 %value;\n"
    "  ld.param.u64 %a0, [values]; ld.param.u32 %r0, [count];\n"
    "  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;\n"
    "  mad.lo.u32 %r4, %r1, %r2, %r3;\n"
    "  setp.ge.u32 %beyond, %r4, %r0;\n  @%beyond ret;\n"
    "  cvta.to.global.u64 %a1, %a0; mad.wide.u32 %a2, %r4, 4, %a1;\n"
    "  ld.global.u32 %value, [%a2]; add.u32 %value, %value, 1; st.global.u32 [%a2], %value;\n"
    "  ret;\n}\n";

static void *driver;

static void *found(const char *name) {
    void *function = dlsym(driver, name);
    if (function == NULL) fprintf(stderr, "the driver has no %s\n", name), exit(2);
    return function;
}

#define CALL(name, ...)                                                             \
    do {                                                                            \
        int code = ((int (*)())found(#name))(__VA_ARGS__);                          \
        if (code != 0) fprintf(stderr, "%s: error %d\n", #name, code), exit(1);     \
    } while (0)

int main(int count, char **arguments) {
    driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (driver == NULL || count != 2) return fprintf(stderr, "wants SECONDS and libcuda.so.1\n"), 2;
    time_t end = time(NULL) + atoi(arguments[1]);

    int cards = 0, card = 0;
    void *context = NULL, *module = NULL, *kernel = NULL;
    char name[256];
    unsigned long long values = 0;
    unsigned int length = VALUES, launches = 0;
    CALL(cuInit, 0U);
    CALL(cuDeviceGetCount, &cards);
    CALL(cuDeviceGet, &card, 0);
    CALL(cuDeviceGetName, name, (int)sizeof name, card);
    CALL(cuDevicePrimaryCtxRetain, &context, card);
    CALL(cuCtxSetCurrent, context);
    CALL(cuModuleLoadData, &module, ADD_ONE);
    CALL(cuModuleGetFunction, &kernel, module, "add_one");
    CALL(cuMemAlloc_v2, &values, (size_t)VALUES * sizeof(unsigned int));
    CALL(cuMemsetD32_v2, values, 0U, (size_t)VALUES);

    void *parameters[] = {&values, &length};
    printf("started on %s, 1 of %d\n", name, cards), fflush(stdout);
    do {
        for (int i = 0; i < LAUNCHES_AT_ONCE; i++, launches++)
            CALL(cuLaunchKernel, kernel, VALUES / THREADS, 1U, 1U, THREADS, 1U, 1U, 0U, NULL, parameters, NULL);
        CALL(cuCtxSynchronize);
    } while (time(NULL) < end);

    unsigned int *result = malloc((size_t)VALUES * sizeof(unsigned int));
    CALL(cuMemcpyDtoH_v2, result, values, (size_t)VALUES * sizeof(unsigned int));
    for (int i = 0; i < VALUES; i++)
        if (result[i] != launches) return fprintf(stderr, "value %d is %u, not %u\n", i, result[i], launches), 1;
    printf("all right after %u launches\n", launches);
    return 0;
}
