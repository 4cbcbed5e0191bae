/** What we ask Chromium to be. Each group says what breaks without it (observed with Chromium 153). */
export function chromiumFlags(options: {
  userDataDir: string;
  sandbox: boolean;
  hostRules?: string | undefined;
  extraArgs?: readonly string[] | undefined;
}): string[] {
  return [
    // Full Chromium needs it; a headless shell is always headless and takes it for the same.
    '--headless=new',
    // The pipe closes when we die, by SIGKILL too, and Chromium leaves with it. A port would outlive us and be open to every local user.
    '--remote-debugging-pipe',
    `--user-data-dir=${options.userDataDir}`,
    ...(options.sandbox ? [] : ['--no-sandbox']),
    // Without it an AudioContext stays suspended and even a muted play() is rejected: nobody clicks here.
    '--autoplay-policy=no-user-gesture-required',
    // Hidden pages: timers at 1 Hz without these three. Every page but the last opened is hidden.
    '--disable-background-timer-throttling',
    '--disable-renderer-backgrounding',
    '--disable-backgrounding-occluded-windows',
    // No mDNS host candidates: containers have no multicast DNS, so ICE would stay `new` for ever.
    '--disable-features=WebRtcHideLocalIpsWithMdns,Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider',
    // Rooms on this machine (simulator, tests): without it there are no loopback candidates. No effect on others.
    '--allow-loopback-in-peer-connection',
    // No GPU here; SwiftShader only costs memory (10–40 MB).
    '--disable-gpu',
    '--disable-software-rasterizer',
    '--mute-audio',
    // Errors only: its INFO lines are dozens per call and copy the page's console.
    '--log-level=2',
    // Nothing of the browser itself calls out, updates, reports or asks.
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-domain-reliability',
    '--disable-client-side-phishing-detection',
    '--disable-default-apps',
    '--disable-extensions',
    '--disable-sync',
    '--disable-breakpad',
    '--disable-crash-reporter',
    '--metrics-recording-only',
    '--no-first-run',
    '--no-default-browser-check',
    '--no-pings',
    '--password-store=basic',
    '--use-mock-keychain',
    '--disable-hang-monitor',
    '--disable-ipc-flooding-protection',
    '--disable-prompt-on-repost',
    // Containers give /dev/shm 64 MB; a renderer that fills it crashes.
    '--disable-dev-shm-usage',
    ...(options.hostRules ? [`--host-resolver-rules=${options.hostRules}`] : []),
    ...(options.extraArgs ?? []),
  ];
}
