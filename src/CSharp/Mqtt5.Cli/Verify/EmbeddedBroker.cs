using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Cli;

/// <summary>
/// The broker of <c>mqtt5 verify --embedded</c>, set up so that all probes apply: it asks for a password, by itself or by
/// SCRAM-SHA-256, and listens for WebSockets too; and another that lacks what a server may lack.
/// </summary>
internal sealed class EmbeddedBroker
{
    private const string UserName = "mqtt5-verify";
    private readonly string password = Convert.ToHexString(RandomNumberGenerator.GetBytes(12));
    private readonly MqttPasswordFile passwords;

    /// <summary>Chooses a password.</summary>
    public EmbeddedBroker()
    {
        // The password lives as long as this process, so that it need not be hard to guess from the hash.
        var hashed = MqttScramCredentials.Derive(Encoding.UTF8.GetBytes(password), MqttScramCredentials.FewestIterations);
        passwords = MqttPasswordFile.Parse(MqttPasswordFile.Line(UserName, hashed));
    }

    /// <summary>What to sign in with.</summary>
    public MqttCredentials Credentials => MqttCredentials.Of(UserName, password);

    /// <summary>Sets the broker up.</summary>
    public void Configure(MqttBrokerOptions options)
    {
        options.Authenticator = passwords;
        options.Listen(0).ListenWebSocket(0);
    }

    /// <summary>Starts a broker without QoS 2, retained messages and Client Identifiers of its own.</summary>
    public Task<MqttBroker> StartLimitedAsync(CancellationToken cancellationToken) =>
        MqttBroker.StartAsync(
            options =>
            {
                options.Authenticator = passwords;
                options.MaximumQoS = QoS.AtLeastOnce;
                options.RetainAvailable = false;
                options.AssignsClientIds = false;
                options.Listen(0);
            },
            cancellationToken);
}
