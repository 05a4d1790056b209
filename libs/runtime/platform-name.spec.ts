import { recordBody } from '#contract';
import { platformName } from './platform-name.js';

it('says who keeps records, as their schema takes it, however long the host is called', () => {
  for (const host of ['keyward.local', `${'a'.repeat(60)}.example`])
    expect(recordBody.shape.platform.safeParse(platformName(host)).success).toBe(true);
  expect(platformName('keyward.local')).toMatch(/^keyward\.local\/\d+\.\d+\.\d+\+[0-9a-f]{12}$/);
  expect(platformName('keyward.local')).toBe(platformName('keyward.local'));
});
