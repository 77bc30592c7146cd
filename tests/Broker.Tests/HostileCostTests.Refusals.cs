using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Mqtt5.BrokerTests;

// Attackers who are refused, at a cost: by a certificate, by a password, with a line in a log that hangs.
public sealed partial class HostileCostTests
{
    // Nothing listens there.
    private static readonly Lazy<CertificateChains> Strangers = new(static () => new CertificateChains("http://127.0.0.1:9/"));

    private static async Task ShowsCertificateAsync(MqttBroker broker, int number)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", broker.Addresses.First(one => one.Scheme == "mqtts").Port);
        await using var stream = new SslStream(client.GetStream(), leaveInnerStreamOpen: false, (_, certificate, _, _) => certificate is not null);

        try
        {
            await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                ClientCertificates = [Strangers.Value.Client],
            }).Bounded();
            Assert.Equal(0, await stream.ReadAsync(new byte[1]).AsTask().Bounded());
        }
        catch (Exception failure) when (failure is IOException or AuthenticationException)
        {
            // That is how a client hears of it.
        }
    }

    private static async Task GuessesAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync($"CONNECT clean=1 clientid=\"a{number}\" username=\"anna\" password=\"{number}\"");
    }

    private static async Task IsRefusedAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.OpenAsync(broker);
        var connect = HealthyPair.Bytes($"CONNECT clean=1 clientid=\"a{number}\"");
        // A protocol level that there is not, behind the Protocol Name.
        connect[8] = 9;
        await client.SendAsync(connect);
        Assert.True((await client.ReadPacketAsync())?.IsConnack);
        await client.ExpectEndAsync();
    }

    // What the broker of an attack needs for it.
    private static void Configure(MqttBrokerOptions options, Func<MqttBroker, int, Task> live, HangingLog log)
    {
        if (live == NeverAsksForWebSocketAsync || live == SendsFramesOfOneByteAsync || live == SendsEmptyFramesAsync || live == SendsPingFramesAsync)
            options.ListenWebSocket(0);
        else if (live == NeverShakesHandsAsync)
            options.ListenTls(0, new MqttServerTlsOptions { Certificate = Certificate.Value });
        else if (live == ShowsCertificateAsync)
            options.ListenTls(0, new MqttServerTlsOptions { Certificate = Certificate.Value, ClientAuthorities = [Certificate.Value] });
        else if (live == GuessesAsync)
            options.Authenticator = new PasswordsOfSome();
        else if (live == IsRefusedAsync)
            options.LoggerFactory = log.Factory;
    }

    // Clients without a User Name need no password.
    private sealed class PasswordsOfSome : IMqttBrokerAuthenticator
    {
        private readonly MqttPasswordFile file = MqttPasswordFile.Parse(MqttPasswordFile.Line("anna", "secret"u8));

        public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken) =>
            context.UserName is null ? new(MqttAuthenticationResult.Anonymous) : file.AuthenticateAsync(context, cancellationToken);
    }

    // No entry is ever written, until it is disposed.
    private sealed class HangingLog : IDisposable
    {
        private readonly ManualResetEventSlim release = new();

        public HangingLog() =>
            Factory = new LogTests.Recorder(_ =>
            {
                release.Wait(TimeSpan.FromMinutes(2));
                return 0;
            });

        public LogTests.Recorder Factory { get; }

        // What waits goes on, so the event is left to it.
        public void Dispose() => release.Set();
    }
}
