#:sdk Microsoft.NET.Sdk.Web
#:project src/CSharp/Mqtt5.Broker/Mqtt5.Broker.csproj
using System.Net;
#:property PublishAot=false
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.DependencyInjection;
using Mqtt5;
using Mqtt5.Testing;
await using var broker = await MqttBroker.StartAsync(options =>
{
    options.Listen(1883);
    options.ListenWebSocket(8080);
    options.ListenUnix("/run/mqtt.sock");
});

foreach (var address in broker.Addresses)
    Console.WriteLine(address);
await using var inside = await broker.ConnectInProcessAsync();
await using var everything = await inside.SubscribeAsync("plant/#");
broker.Publish(new MqttMessage { Topic = "plant/7/temp", Text = "21.5", QoS = QoS.AtLeastOnce });
var builder = WebApplication.CreateBuilder();
builder.Services.AddMqttBroker(options => options.Authenticator = MqttPasswordFile.Load("passwords"));
builder.Services.AddHealthChecks().AddMqttBrokerCheck();
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.ListenLocalhost(5000);
    kestrel.ListenAnyIP(1883, listen => listen.UseMqtt());
    kestrel.ListenAnyIP(8883, listen => listen.UseHttps().UseMqtt());
});

var application = builder.Build();
application.MapMqtt("/mqtt");
application.MapHealthChecks("/health");
var tls = new MqttServerTlsOptions
{
    Certificate = X509Certificate2.CreateFromPemFile("server.pem", "server.key"),
    ClientAuthorities = [X509CertificateLoader.LoadCertificateFromFile("clients.crt")],
};
var secure = new MqttBrokerOptions();
secure.ListenTls(8883, tls, IPAddress.Any);
secure.ListenWebSocket(8443, tls: tls, address: IPAddress.Any);
secure.Authenticator = new ByCertificate();
var known = new MqttBrokerOptions { Authenticator = MqttPasswordFile.Load("passwords") };
var stored = MqttScramCredentials.Derive("pencil"u8);
known.Authenticator = new MqttScramAuthenticator((name, stopping) => new(name == "anna" ? stored : null));
known.Authorizer = MqttAccessRules.Parse("""
    everyone
      allow subscribe news/#
    user anna
      allow all home/#
      deny publish home/door
    client gauge-7
      allow publish plant/%c/#
    anonymous
      allow publish guests/%c
    """);
known.Limits.MaximumPacketBytes = 64 * 1024;
known.Limits.ConnectTimeout = TimeSpan.FromSeconds(5);
known.Limits.Set(LimitName.PublishRate, 100);
var hooked = new MqttBrokerOptions
{
    InterceptPublish = message =>
    {
        if (message.Payload.Length == 0 && message.Retain)
            message.Drop();
        else if (message.Topic.StartsWith("closed/", StringComparison.Ordinal))
        {
            message.ReasonString = "closed until Monday";
            message.Refuse(ReasonCode.QuotaExceeded);
        }
    },
    InterceptSubscribe = subscribe =>
    {
        foreach (var request in subscribe.Requests)
        {
            if (request.Filter == "#")
                request.Refuse(ReasonCode.NotAuthorized);
            else
                request.QoS = QoS.AtLeastOnce;
        }
    },
    MessageDelivered = delivery => Console.WriteLine($"{delivery.ClientId} has {delivery.Topic}"),
    MessageDropped = (clientId, topic, why) => Console.WriteLine($"{clientId} misses {topic}: {why}"),
    ClientConnected = clientId => Console.WriteLine($"{clientId} is here"),
    ClientDisconnected = (clientId, why) => Console.WriteLine($"{clientId} has gone: {why}"),
};
foreach (var session in broker.Sessions)
    Console.WriteLine($"{session.ClientId} {session.EndPoint} {session.Queued}");

broker.Disconnect("gauge-7", ReasonCode.AdministrativeAction);
broker.EndSession("gauge-8");
Console.WriteLine(broker.Explain("gauge-7", new MqttMessage { Topic = "plant/7/temp" }));
var proxied = new MqttBrokerOptions { Authenticator = MqttPasswordFile.Load("passwords") };
proxied.Listen(1883, IPAddress.Any, proxyProtocol: true);
internal sealed class ByCertificate : IMqttBrokerAuthenticator
{
    public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken) =>
        new(context.ClientCertificate is { } certificate
            ? MqttAuthenticationResult.AcceptedAs(certificate.GetNameInfo(X509NameType.SimpleName, false))
            : MqttAuthenticationResult.Refused(ReasonCode.NotAuthorized));
}

internal sealed class OwnTopicsOnly : IMqttBrokerAuthorizer, IMqttPermissions
{
    private readonly string prefix;

    public OwnTopicsOnly() => prefix = "";

    private OwnTopicsOnly(string clientId) => prefix = clientId + "/";

    public IMqttPermissions? Authorize(MqttClientIdentity client) => new OwnTopicsOnly(client.ClientId);

    public bool MayPublish(TopicName topic) => topic.Text.StartsWith(prefix, StringComparison.Ordinal);

    public bool MaySubscribe(TopicFilter filter) => filter.Text.StartsWith(prefix, StringComparison.Ordinal);

    public bool MayReceive(TopicName topic) => MayPublish(topic);
}
