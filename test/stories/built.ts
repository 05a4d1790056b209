import { type Platform, checkoutPath, inheritedEnvironment, prepareSoftHsm } from '#runtime';

/** A program of the tests, compiled as the platform's own are. */
export const builtTest = (path: string): string => checkoutPath('dist', 'test', path);

/** What the custodian of this platform is started with: module, token, PIN file. */
export async function hsmEnvironment(platform: Platform): Promise<Record<string, string>> {
  const { module, tokenLabel, pinFile, configFile } = await prepareSoftHsm({ dataDir: platform.dataDir });
  return {
    ...inheritedEnvironment(),
    KEYWARD_HSM_MODULE: module,
    KEYWARD_HSM_TOKEN: tokenLabel,
    KEYWARD_HSM_PIN_FILE: pinFile,
    SOFTHSM2_CONF: configFile,
  };
}
