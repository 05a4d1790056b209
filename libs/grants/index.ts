export { CasbinGrants } from './casbin-grants.js';
export { readModel } from './model.js';
