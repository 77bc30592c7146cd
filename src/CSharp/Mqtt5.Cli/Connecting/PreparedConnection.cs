using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.Cli;

/// <summary>The options of a client, made from a command line, and the certificates that they hold. Dispose it after the client.</summary>
internal sealed class PreparedConnection : IDisposable
{
    /// <summary>
    /// The default Maximum Packet Size, in bytes. A server discards a larger message [MQTT-3.1.2-25], so messages of other
    /// clients cannot exhaust memory.
    /// </summary>
    public const int DefaultPacketBytes = 16 * 1024 * 1024;

    private const int PrintedReceiveMaximum = 20;

    private PreparedConnection(MqttClientOptions options) => Options = options;

    /// <summary>The options; the verb may change them before it makes the client.</summary>
    public MqttClientOptions Options { get; }

    /// <summary>Reads files and asks for the password where the request says so.</summary>
    /// <exception cref="UsageException">Something of it cannot be used.</exception>
    public static PreparedConnection Of(ConnectionRequest request, Terminal terminal)
    {
        var options = new MqttClientOptions
        {
            Version = ProtocolVersionName.ToClientVersion(request.Version),
            ClientId = request.ClientId,
            CleanStart = request.CleanStart,
            SessionExpiry = request.SessionExpiry,
            KeepAlive = TimeSpan.FromSeconds(request.KeepAliveSeconds),
            UserProperties = request.Properties.UserProperties(Scope.Connect),
            RequestProblemInformation = request.Properties.Switch(Scope.Connect, PropertyId.RequestProblemInformation),
            RequestResponseInformation = request.Properties.Switch(Scope.Connect, PropertyId.RequestResponseInformation),
            Will = WillOf(request),
            Authenticator = AuthenticatorOf(request),
            MaximumPacketSize = (int)Math.Min(
                request.MaximumPacketBytes ?? request.Properties.Number(Scope.Connect, PropertyId.MaximumPacketSize) ?? DefaultPacketBytes,
                Spec.MaximumPacketBytes),
        };
        options.Servers.Add(request.Server);

        if (request.Properties.Number(Scope.Connect, PropertyId.ReceiveMaximum) is { } receiveMaximum)
            options.ReceiveMaximum = (int)receiveMaximum;

        if (request.Properties.Number(Scope.Connect, PropertyId.TopicAliasMaximum) is { } aliases)
            options.TopicAliasMaximum = (int)aliases;

        var prepared = new PreparedConnection(options);

        try
        {
            var password = PasswordSource.Read(request, terminal);

            if (request.UserName is not null || password is not null)
                options.Credentials = new MqttCredentials { UserName = request.UserName, Password = password is null ? (ReadOnlyMemory<byte>?)null : ByteText.ToBytes(password) };

            TlsFiles.Load(request.Tls, options.Tls);

            options.Proxy = request.Proxy;

            if (request.ShowsPackets)
                options.Transport = new TracingTransport(options.CreateTransport(), terminal.Error);

            return prepared;
        }
        catch
        {
            prepared.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The same for a client whose messages are printed: while the reader of the output is stalled, only few messages of QoS
    /// 1 and 2 are pending, as with mosquitto_sub.
    /// </summary>
    /// <exception cref="UsageException">An option cannot be used.</exception>
    public static PreparedConnection ForPrinting(ConnectionRequest request, Terminal terminal)
    {
        var prepared = Of(request, terminal);

        if (request.Properties.Number(Scope.Connect, PropertyId.ReceiveMaximum) is null)
            prepared.Options.ReceiveMaximum = PrintedReceiveMaximum;

        return prepared;
    }

    /// <summary>Frees the certificates.</summary>
    public void Dispose()
    {
        Free(Options.Tls.CertificateAuthorities);
        Free(Options.Tls.ClientCertificates);
    }

    private static void Free(X509Certificate2Collection certificates)
    {
        foreach (var certificate in certificates)
            certificate.Dispose();
    }

    private static MqttWill? WillOf(ConnectionRequest request)
    {
        if (request.Will is not { } will)
            return null;

        var properties = request.Properties;

        return new MqttWill
        {
            Delay = properties.Seconds(Scope.Will, PropertyId.WillDelayInterval),
            Message = new MqttMessage
            {
                Topic = will.Topic,
                Payload = ByteText.ToBytes(will.Payload),
                QoS = will.QoS,
                Retain = will.Retain,
                IsText = properties.Switch(Scope.Will, PropertyId.PayloadFormatIndicator),
                Expiry = properties.Seconds(Scope.Will, PropertyId.MessageExpiryInterval),
                ContentType = properties.Text(Scope.Will, PropertyId.ContentType),
                ResponseTopic = properties.Text(Scope.Will, PropertyId.ResponseTopic),
                CorrelationData = properties.Binary(Scope.Will, PropertyId.CorrelationData),
                UserProperties = properties.UserProperties(Scope.Will),
            },
        };
    }

    private static DataAuthenticator? AuthenticatorOf(ConnectionRequest request)
    {
        var data = request.Properties.Binary(Scope.Connect, PropertyId.AuthenticationData);

        if (request.Properties.Text(Scope.Connect, PropertyId.AuthenticationMethod) is { } method)
            return new DataAuthenticator(method, data);

        return data is null ? null : throw new UsageException("-D: authentication-data needs an authentication-method");
    }
}
