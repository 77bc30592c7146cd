#:project ../src/CSharp/Mqtt5.Broker/Mqtt5.Broker.csproj
#:property PublishAot=false

// Enhanced authentication with SCRAM-SHA-256: the password never travels, the broker does not have it, and the client
// learns whether the broker knows it. It needs no other broker: this one is embedded.
//
//   dotnet run examples/scram.cs

using Mqtt5;

// What the broker keeps of a password. An application would read it from its database.
var anna = MqttScramCredentials.Derive("pencil"u8);

await using var broker = await MqttBroker.StartAsync(options =>
{
    options.Listen(0);
    options.Authenticator = new MqttScramAuthenticator((name, stopping) => new(name == "anna" ? anna : null));
    options.Authorizer = MqttAccessRules.Parse("""
        everyone
          allow all %u/#
        """);
});

MqttClientOptions SignIn(string name, string password)
{
    var options = MqttClientOptions.For(broker.Addresses[0].ToString());
    options.Authenticator = new ScramSha256Authenticator(name, password);
    return options;
}

await using (var client = await MqttClient.ConnectAsync(SignIn("anna", "pencil")))
{
    await client.PublishAsync("anna/note", "mine", QoS.AtLeastOnce);
    Console.WriteLine("anna is in, and may publish under anna/");

    // The same exchange again on the open connection, as before a certificate or a token runs out.
    await client.ReauthenticateAsync();
    Console.WriteLine("anna has signed in again");

    try
    {
        await client.PublishAsync("otto/note", "not mine", QoS.AtLeastOnce);
    }
    catch (MqttRefusedException refused)
    {
        Console.WriteLine($"under otto/ she may not: {refused.Reason}");
    }
}

try
{
    await using var unknown = await MqttClient.ConnectAsync(SignIn("anna", "pen"));
}
catch (MqttConnectException refused)
{
    Console.WriteLine($"a wrong password: {refused.Reason}");
}
