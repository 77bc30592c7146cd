using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.Cli;

/// <summary>The options of a client, made from a command line, and the certificates that they hold. Dispose it after the client.</summary>
internal sealed class PreparedConnection : IDisposable
{
    private PreparedConnection(MqttClientOptions options) => Options = options;

    /// <summary>The options; the verb may change them before it makes the client.</summary>
    public MqttClientOptions Options { get; }

    /// <summary>Reads files and asks for the password where the request says so.</summary>
    /// <exception cref="UsageException">Something of it cannot be used.</exception>
    public static PreparedConnection Of(ConnectionRequest request, Terminal terminal)
    {
        var options = new MqttClientOptions
        {
            ClientId = request.ClientId,
            CleanStart = request.CleanStart,
            SessionExpiry = request.SessionExpiry,
            KeepAlive = TimeSpan.FromSeconds(request.KeepAliveSeconds),
            UserProperties = request.Properties.UserProperties(Scope.Connect),
            RequestProblemInformation = request.Properties.Switch(Scope.Connect, PropertyId.RequestProblemInformation),
            RequestResponseInformation = request.Properties.Switch(Scope.Connect, PropertyId.RequestResponseInformation),
            Will = WillOf(request),
            Authenticator = AuthenticatorOf(request),
            // What the server may send is bounded only where the command line says so.
            MaximumPacketSize = (int)Math.Min(
                request.Properties.Number(Scope.Connect, PropertyId.MaximumPacketSize) ?? uint.MaxValue, Spec.MaximumPacketBytes),
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
                options.Credentials = MqttCredentials.Of(request.UserName, password);

            TlsFiles.Load(request.Tls, options.Tls);

            if (request.ShowsPackets)
                options.Transport = new TracingTransport(options.CreateTransport(), terminal.Error);

            if (request.Note is not null && !request.IsQuiet)
                terminal.Error.WriteLine($"mqtt5: {request.Note}");

            return prepared;
        }
        catch
        {
            prepared.Dispose();
            throw;
        }
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
                Payload = System.Text.Encoding.UTF8.GetBytes(will.Payload),
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

    private static TokenAuthenticator? AuthenticatorOf(ConnectionRequest request)
    {
        var data = request.Properties.Text(Scope.Connect, PropertyId.AuthenticationData);

        if (request.Properties.Text(Scope.Connect, PropertyId.AuthenticationMethod) is { } method)
            return new TokenAuthenticator(method, _ => ValueTask.FromResult(data ?? ""));

        return data is null ? null : throw new UsageException("-D: authentication-data needs an authentication-method");
    }
}
