using System.Security.Cryptography.X509Certificates;
using Mqtt5.Tests;

namespace Mqtt5.CliTests;

// SIGHUP, or a change of them, makes the broker reload its files.
public sealed class ReloadTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-reload-").FullName;

    public ReloadTests() => Assert.SkipWhen(OperatingSystem.IsWindows(), "there are no signals to send");

    private string Passwords => Path.Combine(folder, "passwords");

    private string Rules => Path.Combine(folder, "rules");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    [ShowsOption("broker", "--password-file")]
    public async Task Passwords_are_read_again_and_the_sessions_of_a_name_that_is_gone_end()
    {
        await SetPasswordAsync("anna", "one");
        await SetPasswordAsync("bob", "two");
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--password-file", Passwords);
        await using var anna = await ConnectAsync(broker, "anna", "one", "client-a");
        await using var bob = await ConnectAsync(broker, "bob", "two", "client-b");
        await using (await ConnectAsync(broker, "anna", "one", "client-away"))
        {
        }

        var annaLost = LossOf(anna);
        Assert.Equal(0, (await CommandInProcess.RunAsync("passwd", Passwords, "anna", "--delete")).ExitCode);
        await SetPasswordAsync("carl", "three");
        Assert.Equal("mqtt5: reloaded; 2 sessions ended, 0 clients disconnected (SIGHUP)", await broker.ReloadAsync());
        Assert.Equal(ReasonCode.NotAuthorized, (await annaLost.WaitAsync(Patience))?.Reason);
        Assert.Equal(MqttConnectionStatus.Connected, bob.State.Status);
        var refused = await Assert.ThrowsAnyAsync<MqttException>(() => ConnectAsync(broker, "anna", "one", "client-a"));
        Assert.Equal(ReasonCode.BadUserNameOrPassword, refused.Reason);
        await using var carl = await ConnectAsync(broker, "carl", "three", "client-away");
        Assert.False(carl.Server!.SessionPresent);
    }

    [Fact]
    public async Task A_new_password_disconnects_and_keeps_the_session()
    {
        await SetPasswordAsync("anna", "one");
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--password-file", Passwords);
        await using var anna = await ConnectAsync(broker, "anna", "one", "client-a");
        var lost = LossOf(anna);
        await SetPasswordAsync("anna", "two");
        Assert.Equal("mqtt5: reloaded; 0 sessions ended, 1 client disconnected (SIGHUP)", await broker.ReloadAsync());
        Assert.Equal(ReasonCode.AdministrativeAction, (await lost.WaitAsync(Patience))?.Reason);
        await Assert.ThrowsAnyAsync<MqttException>(() => ConnectAsync(broker, "anna", "one", "client-a"));
        await using var again = await ConnectAsync(broker, "anna", "two", "client-a");
        Assert.True(again.Server!.SessionPresent);
    }

    [Fact]
    [ShowsOption("broker", "--access-file")]
    public async Task Rules_are_read_again_and_hold_for_older_subscriptions()
    {
        await File.WriteAllTextAsync(Rules, "everyone\nallow all #\n");
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--access-file", Rules);
        await using var reader = await ConnectAsync(broker, null, null, "reader", reconnects: true);
        await using var subscription = await reader.SubscribeAsync("secret/#", QoS.AtLeastOnce);
        await using var other = await reader.SubscribeAsync("open/#", QoS.AtLeastOnce);
        var again = new TaskCompletionSource();
        reader.Reconnected += (_, _) => again.TrySetResult();
        await File.WriteAllTextAsync(Rules, "everyone\nallow publish #\nallow subscribe open/#\n");
        Assert.Equal("mqtt5: reloaded; 0 sessions ended, 1 client disconnected (SIGHUP)", await broker.ReloadAsync());
        await again.Task.WaitAsync(Patience);
        await using var writer = await ConnectAsync(broker, null, null, "writer");
        await writer.PublishAsync("secret/1", "hidden", QoS.AtLeastOnce);
        await writer.PublishAsync("open/1", "shown", QoS.AtLeastOnce);
        Assert.Equal("shown", (await Receiver.NextAsync(other)).Text);
        Assert.Equal(0, subscription.Waiting);
        var denied = await Assert.ThrowsAnyAsync<MqttException>(() => writer.SubscribeAsync("secret/2"));
        Assert.Equal(ReasonCode.NotAuthorized, denied.Reason);
    }

    [Fact]
    public async Task Rules_that_are_not_about_a_client_leave_it_connected()
    {
        await File.WriteAllTextAsync(Rules, "everyone\nallow all #\n");
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--access-file", Rules);
        await using var one = await ConnectAsync(broker, null, null, "one");
        await using var two = await ConnectAsync(broker, null, null, "two");
        var lost = LossOf(two);
        await File.WriteAllTextAsync(Rules, "everyone\nallow all #\nclient two\ndeny all x\n");
        Assert.Equal("mqtt5: reloaded; 0 sessions ended, 1 client disconnected (SIGHUP)", await broker.ReloadAsync());
        await lost.WaitAsync(Patience);
        Assert.Equal(MqttConnectionStatus.Connected, one.State.Status);
    }

    [Theory]
    [InlineData(true, "anna:pbkdf2-sha512:x\n", "password-file", "line 1")]
    [InlineData(false, "everyone\nallow all #\nallow nothing here\n", "access-file", "line 3")]
    [InlineData(false, null, "access-file", "Could not find file")]
    public async Task A_file_that_cannot_be_used_leaves_all_as_it_was(bool isPasswords, string? content, string setting, string place)
    {
        await SetPasswordAsync("anna", "one");
        await File.WriteAllTextAsync(Rules, "everyone\nallow all #\n");
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--password-file", Passwords, "--access-file", Rules);
        await using var anna = await ConnectAsync(broker, "anna", "one", "client-a");
        var broken = isPasswords ? Passwords : Rules;

        // The valid file is not applied either.
        if (!isPasswords)
            Assert.Equal(0, (await CommandInProcess.RunAsync("passwd", Passwords, "anna", "--delete")).ExitCode);

        if (content is null)
            File.Delete(broken);
        else
            await File.WriteAllTextAsync(broken, content);

        var line = await broker.ReloadAsync();
        Assert.StartsWith($"mqtt5: not reloaded, all stays as it was: {setting}: {broken}: ", line, StringComparison.Ordinal);
        Assert.Contains(place, line, StringComparison.Ordinal);
        Assert.Equal(MqttConnectionStatus.Connected, anna.State.Status);
        await using var again = await ConnectAsync(broker, "anna", "one", "client-b");
        Assert.Equal(ReasonCode.NoMatchingSubscribers, (await again.PublishAsync("a", "b", QoS.AtLeastOnce)).Reason);
    }

    [Fact]
    public async Task A_certificate_is_read_again()
    {
        using var first = new Mqtt5.Client.Tests.TestCertificates();
        using var second = new Mqtt5.Client.Tests.TestCertificates();
        var file = Path.Combine(folder, "server.pem");
        await WriteAsync(file, first.Server);
        await using var broker = await BrokerProcess.StartAsync("--tls-port", "0", "--cert", file);
        await using var before = await ConnectByTlsAsync(broker, first.Authority);
        await WriteAsync(file, second.Server);
        Assert.StartsWith("mqtt5: reloaded", await broker.ReloadAsync(), StringComparison.Ordinal);
        await using (await ConnectByTlsAsync(broker, second.Authority))
        {
        }

        await Assert.ThrowsAnyAsync<MqttException>(() => ConnectByTlsAsync(broker, first.Authority));
        Assert.Equal(MqttConnectionStatus.Connected, before.State.Status);
        await File.WriteAllTextAsync(file, "nothing");
        Assert.StartsWith($"mqtt5: not reloaded, all stays as it was: cert: {file}: ", await broker.ReloadAsync(), StringComparison.Ordinal);
        await using (await ConnectByTlsAsync(broker, second.Authority))
        {
        }
    }

    [Fact]
    [ShowsOption("broker", "--reload-on-change")]
    public async Task A_change_of_a_file_is_noticed_also_where_the_file_is_replaced()
    {
        await SetPasswordAsync("anna", "one");
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--password-file", Passwords, "--reload-on-change");
        await using var anna = await ConnectAsync(broker, "anna", "one", "client-a");
        var before = await File.ReadAllTextAsync(Passwords);
        await SetPasswordAsync("anna", "two");
        Assert.Equal("mqtt5: reloaded; 0 sessions ended, 1 client disconnected (a file changed)", await broker.ReadErrorLineAsync());
        await File.WriteAllTextAsync(Passwords + ".new", "anna:pbkdf2-sha512:x\n");
        File.Move(Passwords + ".new", Passwords, overwrite: true);
        Assert.StartsWith("mqtt5: not reloaded, all stays as it was: password-file: ", await broker.ReadErrorLineAsync(), StringComparison.Ordinal);
        await using (await ConnectAsync(broker, "anna", "two", "client-b"))
        {
        }

        await File.WriteAllTextAsync(Passwords, before);
        Assert.StartsWith("mqtt5: reloaded", await broker.ReadErrorLineAsync(), StringComparison.Ordinal);
        await using var again = await ConnectAsync(broker, "anna", "one", "client-a");
    }

    [Fact]
    public async Task Reloads_lose_no_message_and_refuse_nothing_that_was_allowed()
    {
        using var certificates = new Mqtt5.Client.Tests.TestCertificates();
        var certificate = Path.Combine(folder, "server.pem");
        await WriteAsync(certificate, certificates.Server);
        await SetPasswordAsync("anna", "one");
        await File.WriteAllTextAsync(Rules, "everyone\nallow all #\n");
        await using var broker = await BrokerProcess.StartAsync("--tls-port", "0", "--cert", certificate, "--password-file", Passwords, "--access-file", Rules);
        await using var reader = await ConnectByTlsAsync(broker, certificates.Authority, "anna", "one", "reader");
        await using var writer = await ConnectByTlsAsync(broker, certificates.Authority, "anna", "one", "writer");
        await ReloadLoad.RunAsync(
            writer,
            reader,
            index => ReloadAsync(broker, SetPasswordAsync("bob", $"{index}")),
            index => ReloadAsync(broker, File.WriteAllTextAsync(Rules, $"everyone\nallow all #\nclient other\ndeny all secret/{index}\n")),
            _ => ReloadAsync(broker, WriteAsync(certificate, certificates.Server)));
        await using var late = await ConnectByTlsAsync(broker, certificates.Authority, "anna", "one", "late");
    }

    private static async Task ReloadAsync(BrokerProcess broker, Task changing)
    {
        await changing;
        Assert.Equal("mqtt5: reloaded; 0 sessions ended, 0 clients disconnected (SIGHUP)", await broker.ReloadAsync());
    }

    [Fact]
    public async Task Without_files_and_at_any_time_the_signal_does_not_end_the_broker()
    {
        await using var broker = await BrokerProcess.StartAsync("--port", "0");

        for (var time = 0; time < 5; time++)
            await broker.SignalAsync("HUP");

        await using (await ConnectAsync(broker, null, null, "one"))
        {
        }

        Assert.Equal(0, await broker.StopAsync());
    }

    private static async Task WriteAsync(string file, X509Certificate2 certificate) =>
        await File.WriteAllTextAsync(file, certificate.ExportCertificatePem() + "\n" + certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem() + "\n");

    private static async Task<MqttClient> ConnectByTlsAsync(BrokerProcess broker, X509Certificate2 authority, string? name = null, string? password = null, string? id = null)
    {
        var options = MqttClientOptions.For(new UriBuilder(broker.Address) { Host = "localhost" }.Uri);
        options.Tls.CertificateAuthorities.Add(authority);
        options.Reconnect = null;
        options.ClientId = id;

        if (name is not null)
            options.Credentials = MqttCredentials.Of(name, password);

        return await MqttClient.ConnectAsync(options);
    }

    private static async Task<MqttClient> ConnectAsync(BrokerProcess broker, string? name, string? password, string id, bool reconnects = false)
    {
        var options = MqttClientOptions.For(broker.Address);
        options.ClientId = id;
        options.CleanStart = false;
        options.SessionExpiry = TimeSpan.FromHours(1);

        if (name is not null)
            options.Credentials = MqttCredentials.Of(name, password);

        if (!reconnects)
            options.Reconnect = null;

        return await MqttClient.ConnectAsync(options);
    }

    private static Task<MqttException?> LossOf(MqttClient client)
    {
        var lost = new TaskCompletionSource<MqttException?>();
        client.Disconnected += (_, loss) => lost.TrySetResult(loss.Cause);
        return lost.Task;
    }

    private async Task SetPasswordAsync(string name, string password) =>
        Assert.Equal(0, (await CommandInProcess.RunWithAsync(System.Text.Encoding.UTF8.GetBytes(password + "\n"), "passwd", Passwords, name, "--scram", "--iterations", "4096")).ExitCode);
}
