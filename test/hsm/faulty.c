/*
 * A PKCS#11 module that wraps another one and fails on demand: for tests only. The module behind it is named by KEYWARD_FAULTY_MODULE.
 * Before each call the control file (KEYWARD_FAULTY_CONTROL) is read anew; each of its lines is a rule:
 *
 *     <function, or *> <action> <number> [once]
 *
 *     sleep <ms>   waits, then calls on
 *     hang 0       never returns
 *     fail <rv>    returns rv (CK_RV, as 0x30) without calling on
 *     late <rv>    calls on, then returns rv all the same: done, but nobody is told
 *
 * `once` removes the control file when the rule fires, so that no later process meets it again. Every call is noted in the log file
 * (KEYWARD_FAULTY_LOG), one line each: the function's name. KEYWARD_FAULTY_PARAMETERS is what NSS wants to be told at C_Initialize.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pkcs11.h"

static CK_FUNCTION_LIST_PTR real;
static CK_FUNCTION_LIST faulty;

struct rule {
  char action[8];
  unsigned long number;
};

static int rule_for(const char *function, struct rule *rule) {
  char line[128], name[48], times[8];
  const char *path = getenv("KEYWARD_FAULTY_CONTROL");
  FILE *file = path ? fopen(path, "r") : NULL;
  int found = 0;
  if (!file) return 0;
  while (!found && fgets(line, sizeof line, file)) {
    times[0] = 0;
    if (sscanf(line, "%47s %7s %li %7s", name, rule->action, &rule->number, times) < 3) continue;
    found = strcmp(name, "*") == 0 || strcmp(name, function) == 0;
  }
  fclose(file);
  if (found && strcmp(times, "once") == 0) unlink(path);
  return found;
}

static void note(const char *function) {
  const char *path = getenv("KEYWARD_FAULTY_LOG");
  int file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT, 0600) : -1;
  if (file < 0) return;
  dprintf(file, "%s\n", function);
  close(file);
}

/* CK_C_INITIALIZE_ARGS as NSS extends it. */
struct nss_arguments {
  void *mutexes[4];
  CK_FLAGS flags;
  const char *parameters;
  void *reserved;
};

static CK_VOID_PTR with_parameters(CK_VOID_PTR given) {
  static struct nss_arguments arguments;
  arguments.flags = CKF_OS_LOCKING_OK;
  arguments.parameters = getenv("KEYWARD_FAULTY_PARAMETERS");
  return arguments.parameters ? &arguments : given;
}

static int is(const struct rule *rule, const char *action) { return strcmp(rule->action, action) == 0; }

#define WRAP(name, parameters, arguments)                                  \
  static CK_RV faulty_##name parameters {                                  \
    struct rule rule;                                                      \
    int has_rule = rule_for(#name, &rule);                                 \
    CK_RV rv;                                                              \
    note(#name);                                                           \
    if (has_rule && is(&rule, "hang")) for (;;) pause();                   \
    if (has_rule && is(&rule, "sleep")) usleep(1000 * rule.number);        \
    if (has_rule && is(&rule, "fail")) return rule.number;                 \
    rv = real->name arguments;                                             \
    return has_rule && is(&rule, "late") ? rule.number : rv;               \
  }

#define S CK_SESSION_HANDLE s
#define O CK_OBJECT_HANDLE
#define M CK_MECHANISM_PTR m
#define IN(p, n) CK_BYTE_PTR p, CK_ULONG n
#define OUT(p, n) CK_BYTE_PTR p, CK_ULONG_PTR n
#define T(p, n) CK_ATTRIBUTE_PTR p, CK_ULONG n

/* What Keyward calls; everything else goes straight to the module behind. */
#define FUNCTIONS                                                                                            \
  F(C_Initialize, (CK_VOID_PTR a), (with_parameters(a)))                                                     \
  F(C_Finalize, (CK_VOID_PTR a), (a))                                                                        \
  F(C_GetSlotList, (CK_BBOOL p, CK_SLOT_ID_PTR l, CK_ULONG_PTR n), (p, l, n))                                \
  F(C_GetTokenInfo, (CK_SLOT_ID i, CK_TOKEN_INFO_PTR t), (i, t))                                             \
  F(C_OpenSession, (CK_SLOT_ID i, CK_FLAGS f, CK_VOID_PTR a, CK_NOTIFY n, CK_SESSION_HANDLE_PTR s), (i, f, a, n, s)) \
  F(C_CloseSession, (S), (s))                                                                                \
  F(C_Login, (S, CK_USER_TYPE u, CK_UTF8CHAR_PTR p, CK_ULONG n), (s, u, p, n))                               \
  F(C_CreateObject, (S, T(t, n), CK_OBJECT_HANDLE_PTR o), (s, t, n, o))                                      \
  F(C_DestroyObject, (S, O o), (s, o))                                                                       \
  F(C_GetAttributeValue, (S, O o, T(t, n)), (s, o, t, n))                                                    \
  F(C_FindObjectsInit, (S, T(t, n)), (s, t, n))                                                              \
  F(C_FindObjects, (S, CK_OBJECT_HANDLE_PTR o, CK_ULONG max, CK_ULONG_PTR n), (s, o, max, n))                \
  F(C_FindObjectsFinal, (S), (s))                                                                            \
  F(C_EncryptInit, (S, M, O k), (s, m, k))                                                                   \
  F(C_Encrypt, (S, IN(d, n), OUT(e, l)), (s, d, n, e, l))                                                    \
  F(C_DecryptInit, (S, M, O k), (s, m, k))                                                                   \
  F(C_Decrypt, (S, IN(e, n), OUT(d, l)), (s, e, n, d, l))                                                    \
  F(C_SignInit, (S, M, O k), (s, m, k))                                                                      \
  F(C_Sign, (S, IN(d, n), OUT(g, l)), (s, d, n, g, l))                                                       \
  F(C_VerifyInit, (S, M, O k), (s, m, k))                                                                    \
  F(C_Verify, (S, IN(d, n), IN(g, l)), (s, d, n, g, l))                                                      \
  F(C_GenerateKey, (S, M, T(t, n), CK_OBJECT_HANDLE_PTR k), (s, m, t, n, k))                                 \
  F(C_GenerateKeyPair, (S, M, T(t, n), T(u, l), CK_OBJECT_HANDLE_PTR p, CK_OBJECT_HANDLE_PTR q), (s, m, t, n, u, l, p, q)) \
  F(C_WrapKey, (S, M, O w, O k, OUT(b, n)), (s, m, w, k, b, n))                                              \
  F(C_UnwrapKey, (S, M, O w, IN(b, n), T(t, l), CK_OBJECT_HANDLE_PTR k), (s, m, w, b, n, t, l, k))           \
  F(C_GenerateRandom, (S, IN(r, n)), (s, r, n))

#define F WRAP
FUNCTIONS
#undef F

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  const char *path = getenv("KEYWARD_FAULTY_MODULE");
  void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  CK_C_GetFunctionList behind = module ? (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList") : NULL;
  CK_RV rv = behind ? behind(&real) : CKR_GENERAL_ERROR;
  if (rv != CKR_OK) return rv;
  faulty = *real;
#define F(name, parameters, arguments) faulty.name = faulty_##name;
  FUNCTIONS
#undef F
  *list = &faulty;
  return CKR_OK;
}
