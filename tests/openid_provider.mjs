// An OpenID provider that nobody here wrote, for tests/openid_provider.rs: npm's oidc-provider with its device flow, on loopback.
// It keeps its own paths, names no interval, rotates refresh tokens, and revokes a grant whose old refresh token comes back.
// Arguments: the tenant, and the permissions that exist. Says its address in one line; ends with its standard input.
import http from 'node:http';
import Provider from 'oidc-provider';

// Whoever started it reads one line and no more.
console.info = () => {};
console.warn = () => {};

const [tenant, ...permissions] = process.argv.slice(2);
const server = http.createServer();
server.listen(0, '127.0.0.1', () => {
  const origin = `http://127.0.0.1:${server.address().port}`;
  const mount = `/${tenant}/v2.0`;
  const provider = new Provider(origin + mount, {
    clients: [{
      client_id: 'the-app',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      redirect_uris: ['http://localhost'],
    }],
    scopes: ['openid', 'offline_access', ...permissions.map((name) => `${origin}/${name}`)],
    claims: { openid: ['sub', 'tid', 'oid'], profile: ['name', 'preferred_username'] },
    conformIdTokenClaims: false,
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    pkce: { required: () => true },
    cookies: { keys: ['of the test'] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        tid: tenant,
        oid: '22222222-2222-4333-8444-555555555555',
        name: 'Dana Reyes',
        preferred_username: `${id}@harborview.example`,
      }),
    }),
  });
  provider.on('grant.error', (_, error) => console.error('grant', error.message, error.error_detail ?? ''));
  provider.on('authorization.error', (_, error) => console.error('authorization', error.message, error.error_description ?? ''));
  provider.on('grant.revoked', () => console.error('revoked'));
  const answer = provider.callback();
  server.on('request', (request, response) => {
    if (!request.url.startsWith(mount)) return response.writeHead(404).end();
    // As a web framework does that has the provider below a path.
    request.originalUrl = request.url;
    request.url = request.url.slice(mount.length) || '/';
    return answer(request, response);
  });
  console.log(origin);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit());
