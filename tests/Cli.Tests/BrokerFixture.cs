using System.Globalization;

namespace Mqtt5.CliTests;

// A broker with every transport. Anna has a password, others need none; no client may use forbidden/#.
public sealed class BrokerFixture : IAsyncLifetime
{
    private readonly TestCertificates certificates = new();
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-cli-").FullName;

    public MqttBroker Broker { get; private set; } = null!;

    public string Port => PortOf("mqtt");

    public string TlsPort => PortOf("mqtts");

    public string WebSocketPort => PortOf("ws");

    public string Socket => Path.Combine(folder, "mqtt.sock");

    public string AuthorityFile => Path.Combine(folder, "ca.pem");

    public string FilePath(string name) => Path.Combine(folder, name);

    public static Task<MqttBroker> StartAsync(Action<MqttBrokerOptions> configure) =>
        MqttBroker.StartAsync(options =>
        {
            options.SystemTopicsInterval = TimeSpan.Zero;
            options.Limits.MaximumPacketBytes = 4 * 1024 * 1024;
            options.Authenticator = new AnnaAuthenticator();
            options.Authorizer = MqttAccessRules.Parse("everyone\ndeny all forbidden/#\nallow all #\n");
            configure(options);
        });

    // Another broker at the port of one that has ended. For a moment another process may have it.
    public static async Task<MqttBroker> StartAtAsync(int port)
    {
        for (var left = 300; ; left--)
        {
            try
            {
                return await StartAsync(options => options.Listen(port));
            }
            catch (IOException) when (left > 0)
            {
                await Task.Delay(100);
            }
        }
    }

    public async ValueTask InitializeAsync()
    {
        await File.WriteAllTextAsync(AuthorityFile, certificates.Authority.ExportCertificatePem());
        Broker = await StartAsync(options =>
        {
            options.Listen(0);
            options.ListenTls(0, new MqttServerTlsOptions { Certificate = certificates.Server });
            options.ListenWebSocket(0);
            options.ListenUnix(Socket);
        });
    }

    public async ValueTask DisposeAsync()
    {
        await Broker.DisposeAsync();
        certificates.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    internal Task<CommandOutcome> RunAsync(params string[] arguments) => RunWithAsync(null, arguments);

    internal Task<CommandOutcome> RunWithAsync(byte[]? input, params string[] arguments) =>
        CommandProcess.RunAsync(input, [.. arguments, "-p", Port]);

    private string PortOf(string scheme) =>
        Broker.Addresses.First(address => address.Scheme == scheme).Port.ToString(CultureInfo.InvariantCulture);

    private sealed class AnnaAuthenticator : IMqttBrokerAuthenticator
    {
        public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken)
        {
            var isRight = context.UserName is null
                || (context.UserName == "anna" && context.Password is { } password && password.Span.SequenceEqual("s3cret"u8));
            return ValueTask.FromResult(isRight ? MqttAuthenticationResult.AcceptedAs(context.UserName ?? "nobody") : MqttAuthenticationResult.Refused());
        }
    }
}
