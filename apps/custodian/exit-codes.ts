/** EX_CONFIG: the PIN was refused, the module is unsafe or a setting is wrong. Starting again would not help, or lock the HSM. */
export const NEVER_RESTART = 78;
