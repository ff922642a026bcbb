import t from 'tap';
import { loadConfig } from '#src/config/index.js';
import { upstreamHost } from '#src/control/snapshots/upstream-host.js';

function hostOf(upstream: object): string {
  const loaded = loadConfig(
    JSON.stringify({
      listeners: { web: { bind: '127.0.0.1:80', http: { upstream: 'app' } } },
      upstreams: { app: upstream },
    }),
  );
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join('; '));
  return upstreamHost(loaded.config.upstreams[0]!);
}

t.test('upstream host: the first endpoint, as the configuration calls it', async (t) => {
  const of = (...endpoints: string[]) => hostOf({ endpoints });
  t.equal(of('App.example.com:8080', '10.0.0.1:80'), 'app.example.com:8080');
  t.equal(of('app.example.com:80'), 'app.example.com');
  t.equal(of('app.example.com.:81'), 'app.example.com:81');
  t.equal(of('10.0.0.1:80'), '10.0.0.1');
  t.equal(of('[::1]:3000'), '[::1]:3000');
  t.equal(of('srv:_http._tcp.app.example.com'), 'app.example.com');
  t.equal(of('unix:/run/app.sock'), 'localhost');
  t.equal(hostOf({ demo: true }), 'localhost');
});

t.test('upstream host: over TLS the port that is left out is that of HTTPS', async (t) => {
  const of = (endpoint: string) => hostOf({ endpoints: [endpoint], tls: {} });
  t.equal(of('api.example.com:443'), 'api.example.com');
  t.equal(of('[::1]:443'), '[::1]');
  t.equal(of('api.example.com:80'), 'api.example.com:80');
  t.equal(of('api.example.com:8443'), 'api.example.com:8443');
  t.equal(hostOf({ endpoints: ['api.example.com:443'] }), 'api.example.com:443');
});
