export { CasbinGrants } from './casbin-grants.js';
export { readModel } from './model.js';
export * from './tools/index.js';
