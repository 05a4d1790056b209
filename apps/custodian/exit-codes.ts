/** EX_CONFIG: the PIN was refused, the module is unsafe, a setting is wrong, or a file of the custodian's own is corrupt. Starting again would not help, or lock the HSM. */
export const NEVER_RESTART = 78;
