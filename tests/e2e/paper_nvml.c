/* Cards on paper: as much of NVIDIA's management library (NVML) as its device plugin asks for.
 *
 * Names, numbers and structures are those of NVML's public interface. Two cards, in no way connected, that are always
 * well. What the plugin takes for optional (slices, coherent memory, fabrics) does not exist here.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TIMEOUT = 10 };
enum { CARDS = 2, TOPOLOGY_SYSTEM = 50 };

typedef int Return;
typedef struct { unsigned int number; } Card;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct {
    char legacy_bus_id[16];
    unsigned int domain, bus, device, pci_device, pci_subsystem;
    char bus_id[32];
} PciInfo;

static Card cards[CARDS] = {{0}, {1}};

Return nvmlInit_v2(void) { return SUCCESS; }
Return nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(Return code) { return code == SUCCESS ? "success" : "no such thing on paper"; }

static Return text(char *into, unsigned int length, const char *what) {
    return snprintf(into, length, "%s", what) < (int)length ? SUCCESS : INVALID_ARGUMENT;
}


Return nvmlDeviceGetCount_v2(unsigned int *count) { *count = CARDS; return SUCCESS; }

Return nvmlDeviceGetHandleByIndex_v2(unsigned int index, Card **card) {
    if (index >= CARDS) return INVALID_ARGUMENT;
    *card = &cards[index];
    return SUCCESS;
}

Return nvmlDeviceGetMinorNumber(Card *card, unsigned int *number) { *number = card->number; return SUCCESS; }
Return nvmlDeviceGetName(Card *card, char *name, unsigned int length) { (void)card; return text(name, length, "NVIDIA L4"); }

Return nvmlDeviceGetUUID(Card *card, char *uuid, unsigned int length) {
    char own[64];
    snprintf(own, sizeof own, "GPU-00000000-0000-0000-0000-00000000000%u", card->number);
    return text(uuid, length, own);
}

Return nvmlDeviceGetHandleByUUID(const char *uuid, Card **card) {
    char own[64];
    for (int number = 0; number < CARDS; number++) {
        nvmlDeviceGetUUID(&cards[number], own, sizeof own);
        if (strcmp(own, uuid) == 0) return nvmlDeviceGetHandleByIndex_v2(number, card);
    }
    return NOT_FOUND;
}

Return nvmlDeviceGetMemoryInfo(Card *card, Memory *memory) {
    (void)card;
    memory->total = memory->free = 23034ULL << 20;
    memory->used = 0;
    return SUCCESS;
}

Return nvmlDeviceGetCudaComputeCapability(Card *card, int *major, int *minor) {
    (void)card;
    *major = 8, *minor = 9;
    return SUCCESS;
}

Return nvmlDeviceGetPciInfo_v3(Card *card, PciInfo *info) {
    memset(info, 0, sizeof *info);
    info->bus = card->number + 1;
    snprintf(info->bus_id, sizeof info->bus_id, "00000000:%02X:00.0", info->bus);
    snprintf(info->legacy_bus_id, sizeof info->legacy_bus_id, "0000:%02X:00.0", info->bus);
    return SUCCESS;
}

Return nvmlDeviceGetTopologyCommonAncestor(Card *one, Card *other, int *level) {
    (void)one, (void)other;
    *level = TOPOLOGY_SYSTEM;
    return SUCCESS;
}

Return nvmlDeviceGetNvLinkState(Card *card, unsigned int link, int *active) {
    (void)card, (void)link, (void)active;
    return NOT_SUPPORTED;
}

/* Trouble with a card would be an event; there never is one. */
Return nvmlEventSetCreate(void **set) { *set = cards; return SUCCESS; }
Return nvmlEventSetFree(void *set) { (void)set; return SUCCESS; }
Return nvmlDeviceGetSupportedEventTypes(Card *card, unsigned long long *types) { (void)card; *types = 0; return SUCCESS; }
Return nvmlDeviceRegisterEvents(Card *card, unsigned long long types, void *set) {
    (void)card, (void)types, (void)set;
    return SUCCESS;
}
Return nvmlEventSetWait_v2(void *set, void *event, unsigned int timeout_milliseconds) {
    (void)set, (void)event;
    usleep(timeout_milliseconds * 1000);
    return TIMEOUT;
}
