/**
 * A real identity provider in a process of its own (jest's loader cannot load it). Its parent sends `{ jwks, subjects, lifeSeconds }`,
 * again to change them, and is told the issuer. Clients stand for people: the `sub` of a client's own token is its id.
 */
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

let answer = (_request, response) => response.writeHead(503).end();
const server = createServer((request, response) => answer(request, response));
server.listen(0, '127.0.0.1');

process.on('message', ({ jwks, subjects, lifeSeconds }) => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks,
    clients: subjects.map((subject) => ({
      client_id: subject,
      client_secret: 'secret',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, audience) => ({
          scope: '',
          audience,
          accessTokenFormat: 'jwt',
          accessTokenTTL: lifeSeconds,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  answer = provider.callback();
  process.send(issuer);
});
process.on('disconnect', () => process.exit());
