using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Mqtt5.Cli;
using Mqtt5.Tests;
using ECDsaKey = System.Security.Cryptography.X509Certificates.ECDsaCertificateExtensions;

namespace Mqtt5.CliTests;

// What mqtt5 broker makes of the options of mosquitto.conf.
public sealed class MosquittoConfigurationTests : IDisposable
{
    // mosquitto_passwd -b, of mosquitto 2.0.11, for the passwords one and two; bob with -H sha512.
    private const string Passwords = """
        anna:$7$101$ePFe0jv+z2rZZeyZ$Z7xd20nBmDsYMvj4DuVWs9ZHQTC/uswmRmiBY7pkaeRQG3WkX37WrklcQOlKDWZV1QoVFNyqlLXXkNd/76zv8A==
        bob:$6$6OBV8voaeKkGhFGD$gwdTP9w1v2d7Saq1xWMzxWD7VDUiKJ32IOBdWKzqvWDetksvV9YIfFCPv+hCVpuk/Ijing6PRoHY7JE8Q01Pcw==

        """;

    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-mosquitto-").FullName;

    // The option as in the file, and what the broker is asked for.
    public static TheoryData<string, string> Taken { get; } = new()
    {
        { "listener 1884", "1884 ::" },
        { "listener 1884 127.0.0.1", "1884 127.0.0.1" },
        { "listener 0 /run/mqtt.sock", "/run/mqtt.sock" },
        { "port 1885", "1885 ::" },
        { "bind_address 127.0.0.1", "1883 127.0.0.1" },
        { "listener 9001\nprotocol websockets", "9001 :: web socket" },
        { "listener 1884\naccept_protocol_versions 4,5", "1884 :: V311, V5" },
        { "listener 1884\nenable_proxy_protocol 2", "1884 :: proxy" },
        { "listener 8883\ncertfile s.pem\nkeyfile s.key", "8883 :: tls s.pem s.key" },
        { "listener 8883\ncertfile s.pem\nkeyfile s.key\ncafile ca.pem\nrequire_certificate true", "8883 :: tls s.pem s.key ca.pem" },
        { "listener 8883\ncertfile s.pem\nkeyfile s.key\ncafile ca.pem", "8883 :: tls s.pem s.key" },
        { "listener 8883\ncertfile s.pem\nkeyfile s.key\ntls_version tlsv1.2", "8883 :: tls s.pem s.key" },
        { "listener 8883\ncertfile s.pem\ncafile a\nrequire_certificate true\nuse_identity_as_username true", "identity" },
        { "listener 1884\nmax_connections 20\nlistener 1885\nmax_connections 30", "Connections 50" },
        { "listener 1884\nmax_qos 1", "QoS AtLeastOnce" },
        { "listener 1884\nmax_topic_alias 7", "TopicAliasMaximum 7" },
        { "password_file pw", "password pw" },
        { "acl_file acl", "acl acl" },
        { "allow_anonymous true", "anonymous" },
        { "allow_anonymous false\npassword_file pw", "named" },
        { "allow_zero_length_clientid false", "no identifiers" },
        { "auto_id_prefix auto-", "" },
        { "max_inflight_messages 5", "InFlightMessages 5" },
        { "max_inflight_messages 0", "ReceiveMaximum 65535" },
        { "max_queued_messages 50", "QueuedMessages 50" },
        { "max_queued_messages 0", "QueuedMessages 2147483647" },
        { "max_queued_bytes 65536", "QueuedBytes 65536" },
        { "max_packet_size 4096", "MaximumPacketBytes 4096" },
        { "max_packet_size 0", "MaximumPacketBytes 268435455" },
        { "max_keepalive 120", "KeepAlive 120" },
        { "global_max_clients 70", "Sessions 70" },
        { "global_max_connections 60", "Connections 60" },
        { "max_topic_alias_broker 3", "OutboundTopicAliases 3" },
        { "persistent_client_expiration 2d", "SessionExpiry 172800" },
        { "persistent_client_expiration 1m", "SessionExpiry 2592000" },
        { "queue_qos0_messages true", "queues QoS 0" },
        { "retain_available false", "no retained" },
        { "sys_interval 30", "$SYS 30" },
        { "log_type error", "log Error" },
        { "log_type error\nlog_type all", "log Debug" },
        { "log_dest none", "log None" },
        { "log_dest stderr", "log Information" },
        { "per_listener_settings true\nlistener 1884\nallow_anonymous true\nlistener 1885 127.0.0.1\npassword_file a\nacl_file b", "* 1884: anonymous" },
        { "per_listener_settings true\nlistener 1884\nallow_anonymous true\nlistener 1885 127.0.0.1\npassword_file a\nacl_file b", "127.0.0.1 1885: a b" },
    };

    // Options that are told, and the broker starts.
    public static TheoryData<string, string> Told { get; } = new()
    {
        { "http_dir /var/www", "no files are served" },
        { "memory_limit 1000000", "memory is bounded" },
        { "message_size_limit 1000", "max_packet_size" },
        { "upgrade_outgoing_qos true", "never gets a higher QoS" },
        { "log_facility 5", "standard error" },
        { "log_dest syslog", "standard error" },
        { "log_dest file /var/log/mosquitto.log", "standard error" },
        { "pid_file /run/mosquitto.pid", "no file" },
        { "user mosquitto", "the user that started it" },
        { "auto_id_prefix plant-", "auto-" },
        { "enable_control_api true", "control topics" },
        { "connection cloud\naddress cloud.example:8883\ntopic # out 1\nremote_username u\nbridge_cafile ca.pem", "bridges are not supported yet" },
        { "persistence true\npersistence_location /var/lib/mosquitto/", "kept in /var/lib/mosquitto/mqtt5; the database of mosquitto is not read" },
        { "listener 1884\nmax_connections 5\nlistener 1885", "all listeners together" },
    };

    // Options with which a broker would protect less, or differ for clients: it does not start.
    public static TheoryData<string, string> Refused { get; } = new()
    {
        { "plugin /usr/lib/mosquitto_dynamic_security.so", "plugins" },
        { "auth_plugin x.so", "plugins" },
        { "plugin_opt_config_file x.json", "plugins" },
        { "auth_opt_db x", "plugins" },
        { "psk_file psk", "pre-shared keys" },
        { "bind_interface eth0", "address" },
        { "mount_point plant/", "prefix" },
        { "clientid_prefixes plant-", "prefix" },
        { "use_username_as_clientid true", "--client-id-is-user-name" },
        { "use_subject_as_username true", "use_identity_as_username" },
        { "crlfile crl.pem", "revocation" },
        { "ciphers HIGH", "cipher suites" },
        { "ciphers_tls1.3 X", "cipher suites" },
        { "tls_engine pkcs11", "files" },
        { "tls_version tlsv1.3", "least version" },
        { "protocol mqttsn", "websockets" },
        { "listener 70000", "no port" },
        { "listener 0", "Unix socket" },
        { "listener 1884 no-such-host.invalid", "no address" },
        { "max_qos 3", "from 0 to 2" },
        { "max_keepalive many", "no whole number" },
        { "persistent_client_expiration 3", "h, d, w, m and y" },
        { "log_type loud", "no kind of message" },
        { "allow_anonymous perhaps", "neither true nor false" },
        { "listener 8883\nkeyfile k.pem", "no certfile" },
        { "listener 8883\ncertfile s.pem\nrequire_certificate true", "cafile or capath" },
        { "listener 1884\nmax_qos 1\nlistener 1885", "different values" },
        { "per_listener_settings true\nlistener 1884\npassword_file a\nlistener 1885", "no client could connect at the listener * 1885" },
        { "listener 1884\nper_listener_settings true", "before the listeners" },
        { "listener 1884", "no client could connect" },
        { "include_dir /no/such/folder", "include_dir" },
        { "no_such_option 1", "there is no such option" },
    };

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [MemberData(nameof(Taken))]
    public void An_option_is_taken(string text, string expected)
    {
        var (request, told) = Read(text);
        Assert.Empty(told);
        Assert.Contains(expected, Describe(request));
    }

    [Theory]
    [MemberData(nameof(Told))]
    public void An_option_without_a_counterpart_is_told_with_its_line(string text, string reason)
    {
        var (_, told) = Read(text);
        var line = Assert.Single(told);
        Assert.Contains(reason, line, StringComparison.Ordinal);

        if (!text.Contains("max_connections", StringComparison.Ordinal))
            Assert.Contains($"mosquitto.conf:2: {text.Split(' ')[0]}: ", line, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public void An_option_that_cannot_be_given_up_is_refused(string text, string reason)
    {
        var path = Write("mosquitto.conf", "# a comment\n" + text + "\n");
        var failure = Assert.Throws<UsageException>(() => MosquittoConfiguration.Apply(path, new BrokerRequest()));
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
        Assert.Contains(path, failure.Message.Replace("--mosquitto-config: the listener at port 8883", path, StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("allow_duplicate_messages true")]
    [InlineData("autosave_interval 60")]
    [InlineData("autosave_on_changes true")]
    [InlineData("check_retain_source true")]
    [InlineData("connection_messages false")]
    [InlineData("dhparamfile dh.pem")]
    [InlineData("log_timestamp true")]
    [InlineData("log_timestamp_format %Y")]
    [InlineData("max_inflight_bytes 0")]
    [InlineData("persistence_file mosquitto.db")]
    [InlineData("set_tcp_nodelay true")]
    [InlineData("socket_domain ipv4")]
    [InlineData("tls_keyform pem")]
    [InlineData("websockets_headers_size 1024")]
    [InlineData("websockets_log_level 0")]
    [InlineData("psk_hint false")]
    [InlineData("use_username_as_clientid false")]
    public void An_option_without_effect_is_passed_over(string text) => Assert.Empty(Read(text).Told);

    [Fact]
    public void What_is_not_said_is_as_in_mosquitto()
    {
        var (request, _) = Read("");
        var all = Describe(request);
        Assert.Contains("1883 127.0.0.1", all);
        Assert.Contains("anonymous", all);
        Assert.Contains("QueuedMessages 1000", all);
        Assert.Contains("InFlightMessages 20", all);
        Assert.Contains("SessionExpiry 4294967295", all);
        Assert.Contains("MaximumPacketBytes 268435455", all);
    }

    [Fact]
    public void Folders_are_included_in_the_order_of_their_files()
    {
        var parts = Directory.CreateDirectory(Path.Combine(folder, "conf.d")).FullName;
        File.WriteAllText(Path.Combine(parts, "b.conf"), "max_keepalive 2\n");
        File.WriteAllText(Path.Combine(parts, "a.conf"), "max_keepalive 1\n");
        File.WriteAllText(Path.Combine(parts, "c.txt"), "max_keepalive 3\n");
        Assert.Contains("KeepAlive 2", Describe(Read($"include_dir {parts}").Request));
    }

    // topic lines before the first user are for anonymous clients; %c only in patterns; deny wins; subscriptions are granted.
    [Theory]
    [InlineData(null, "c1", "news/a", true, false)]
    [InlineData("anna", "c1", "news/a", false, false)]
    [InlineData("anna", "c1", "home/a", true, true)]
    [InlineData("anna", "c1", "home/secret", false, false)]
    [InlineData("anna", "c1", "out/a", false, true)]
    [InlineData("bob", "c1", "home/a", false, false)]
    [InlineData("bob", "c1", "devices/c1/x", true, true)]
    [InlineData("bob", "c2", "devices/c1/x", false, false)]
    [InlineData("bob", "c1", "users/bob", true, false)]
    [InlineData(null, "c1", "users/", false, false)]
    [InlineData("bob", "c1", "100%c", true, true)]
    [InlineData("bob", "c1", "two words", true, true)]
    public void Rules_of_an_ACL_file_apply(string? user, string client, string topic, bool mayRead, bool mayWrite)
    {
        var acl = MosquittoAcl.Parse("""
            topic read news/#

            user anna
            topic home/#
            topic deny home/secret
            topic write out/+
            user bob
            topic 100%c
            topic two words
            # for all
            pattern readwrite devices/%c/#
            pattern read users/%u
            """);
        var permissions = acl.Authorize(new MqttClientIdentity(client, user, null, false));
        Assert.True(permissions.MaySubscribe(TopicFilter.Of("#")));
        Assert.Equal(mayRead, permissions.MayReceive(TopicName.Of(topic)));
        Assert.Equal(mayWrite, permissions.MayPublish(TopicName.Of(topic)));
    }

    [Theory]
    [InlineData("user anna\ntopics x", "line 2")]
    [InlineData("topic a/#/b", "line 1")]
    [InlineData("pattern", "line 1")]
    public void A_mistake_in_an_ACL_file_is_told(string text, string place) =>
        Assert.Contains(place, Assert.Throws<FormatException>(() => MosquittoAcl.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("anna:$7$101$ePFe0jv+z2rZZeyZ$AAAA")]
    [InlineData("anna:$7$0$ePFe0jv+z2rZZeyZ$Z7xd20nBmDsYMvj4DuVWs9ZHQTC/uswmRmiBY7pkaeRQG3WkX37WrklcQOlKDWZV1QoVFNyqlLXXkNd/76zv8A==")]
    [InlineData("anna:$argon2id$v=19$m=12288,t=3,p=1$c2FsdA$aGFzaA")]
    [InlineData("anna:$6$!$gwdTP9w1v2d7Saq1xWMzxWD7VDUiKJ32IOBdWKzqvWDetksvV9YIfFCPv+hCVpuk/Ijing6PRoHY7JE8Q01Pcw==")]
    public void A_line_of_a_password_file_that_cannot_be_used_is_told(string line) =>
        Assert.Contains("line 1", Assert.Throws<FormatException>(() => MqttPasswordFile.Parse(line)).Message, StringComparison.Ordinal);

    [Fact]
    public async Task Each_listener_has_passwords_and_rules_of_its_own()
    {
        var (guests, staff) = (FreePort(), FreePort());
        var configuration = Write("mosquitto.conf", $"""
            per_listener_settings true
            log_type error
            listener {guests} 127.0.0.1
            allow_anonymous true
            acl_file {Write("guests", "topic read news/#\n")}
            listener {staff} 127.0.0.1
            password_file {Write("passwd", Passwords)}
            acl_file {Write("staff", "user anna\ntopic readwrite #\n")}

            """);
        await using var broker = await BrokerProcess.StartAsync("--mosquitto-config", configuration);
        var (inside, outside) = (new Uri($"mqtt://127.0.0.1:{staff}"), new Uri($"mqtt://127.0.0.1:{guests}"));
        await using var anna = await ConnectAsync(inside, "anna", "one", null);
        // A name that nothing has verified is none.
        await using var guest = await ConnectAsync(outside, "anna", "wrong", null);
        await using var nameless = await MqttClient.ConnectAsync(MqttClientOptions.For(outside)).WaitAsync(TimeSpan.FromSeconds(60));
        await using var all = await guest.SubscribeAsync("#", QoS.AtLeastOnce);
        await anna.PublishAsync("secret/1", "hidden", QoS.AtLeastOnce);
        await anna.PublishAsync("news/1", "open", QoS.AtLeastOnce);
        Assert.Equal("open", (await Receiver.NextAsync(all)).Text);
        var denied = await Assert.ThrowsAnyAsync<MqttException>(() => nameless.PublishAsync("news/1", "false", QoS.AtLeastOnce).AsTask());
        Assert.Equal(ReasonCode.NotAuthorized, denied.Reason);
        await Assert.ThrowsAnyAsync<MqttException>(() => MqttClient.ConnectAsync(MqttClientOptions.For(inside)));
        await Assert.ThrowsAnyAsync<MqttException>(() => ConnectAsync(inside, "anna", "two", null));

        // The files of each listener are read again.
        Write("passwd", Passwords[(Passwords.IndexOf('\n', StringComparison.Ordinal) + 1)..]);
        Assert.Equal("mqtt5: reloaded; 1 session ended, 0 clients disconnected (SIGHUP)", await broker.ReloadAsync());
        await Assert.ThrowsAnyAsync<MqttException>(() => ConnectAsync(inside, "anna", "one", null));
        Assert.Equal(MqttConnectionStatus.Connected, guest.State.Status);
    }

    [Fact]
    [ShowsOption("broker", "--mosquitto-config")]
    public async Task An_installation_is_moved_and_its_clients_notice_nothing()
    {
        using var certificates = new TestCertificates();
        var authority = Write("ca.pem", certificates.Authority.ExportCertificatePem());
        var certificate = Write("server.pem", certificates.Server.ExportCertificatePem());
        var key = Write("server.key", ECDsaKey.GetECDsaPrivateKey(certificates.Server)!.ExportPkcs8PrivateKeyPem());
        var (plain, secure) = (FreePort(), FreePort());
        var configuration = Write("mosquitto.conf", $"""
            per_listener_settings false
            listener {plain} 127.0.0.1
            listener {secure} 127.0.0.1
            certfile {certificate}
            keyfile {key}
            password_file {Write("passwd", Passwords)}
            acl_file {Write("acl", "user anna\ntopic readwrite home/#\nuser bob\ntopic read home/+/state\npattern write from/%u\n")}
            connection cloud
            address cloud.example
            topic home/# out
            """);
        await using var broker = await BrokerProcess.StartAsync("--mosquitto-config", configuration);
        Assert.Equal(plain, broker.Address.Port);
        await using var anna = await ConnectAsync(new Uri($"mqtt://127.0.0.1:{plain}"), "anna", "one", null);
        await using var bob = await ConnectAsync(new Uri($"mqtts://localhost:{secure}"), "bob", "two", authority);
        await using var all = await bob.SubscribeAsync("#", QoS.AtLeastOnce);
        await anna.PublishAsync("home/door/secret", "hidden", QoS.AtLeastOnce);
        await anna.PublishAsync("home/door/state", "open", QoS.AtLeastOnce);
        Assert.Equal("open", (await Receiver.NextAsync(all)).Text);
        var denied = await Assert.ThrowsAnyAsync<MqttException>(() => bob.PublishAsync("home/door/state", "shut", QoS.AtLeastOnce).AsTask());
        Assert.Equal(ReasonCode.NotAuthorized, denied.Reason);
        await bob.PublishAsync("from/bob", "here", QoS.AtLeastOnce);
        var refused = await Assert.ThrowsAnyAsync<MqttException>(() => ConnectAsync(broker.Address, "anna", "two", null));
        Assert.Equal(ReasonCode.BadUserNameOrPassword, refused.Reason);
        await Assert.ThrowsAnyAsync<MqttException>(() => MqttClient.ConnectAsync(MqttClientOptions.For(broker.Address)));
    }

    [Fact]
    public async Task A_certificate_names_its_user()
    {
        using var certificates = new TestCertificates();
        var authority = Write("ca.pem", certificates.Authority.ExportCertificatePem());
        var certificate = Write("server.pem", certificates.Server.ExportCertificatePem());
        var key = Write("server.key", ECDsaKey.GetECDsaPrivateKey(certificates.Server)!.ExportPkcs8PrivateKeyPem());
        var own = Write("client.pem", certificates.Client.ExportCertificatePem());
        var ownKey = Write("client.key", ECDsaKey.GetECDsaPrivateKey(certificates.Client)!.ExportPkcs8PrivateKeyPem());
        var name = certificates.Client.GetNameInfo(System.Security.Cryptography.X509Certificates.X509NameType.SimpleName, forIssuer: false);
        var port = FreePort();
        var configuration = Write("mosquitto.conf", $"""
            listener {port} 127.0.0.1
            certfile {certificate}
            keyfile {key}
            cafile {authority}
            require_certificate true
            use_identity_as_username true
            acl_file {Write("acl", $"user {name}\ntopic write own\n")}
            """);
        await using var broker = await BrokerProcess.StartAsync("--mosquitto-config", configuration);
        string[] client = ["-h", "localhost", "-p", $"{port}", "--cafile", authority, "--cert", own, "--key", ownKey, "-q", "1", "-m", "x"];
        Assert.Equal(0, (await CommandInProcess.RunAsync(["pub", .. client, "-t", "own"])).ExitCode);
        Assert.NotEqual(0, (await CommandInProcess.RunAsync(["pub", .. client, "-t", "other"])).ExitCode);
    }

    [Fact]
    public async Task Options_of_the_command_win_and_what_is_passed_over_is_told()
    {
        var configuration = Write("mosquitto.conf", $"listener {FreePort()} 127.0.0.1\nallow_anonymous true\nuser mosquitto\nmax_keepalive many\n");
        var outcome = await CommandInProcess.RunAsync("broker", "--mosquitto-config", configuration);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains($"{configuration}:4: max_keepalive: 'many' is no whole number", outcome.Error, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Describe(BrokerRequest request)
    {
        foreach (var one in request.Listeners)
        {
            var parts = new List<string> { one.Unix ?? $"{one.Port} {one.Address}" };

            if (one.Tls is { } tls)
                parts.Add($"tls {string.Join(' ', [tls.Certificate, tls.Key, .. tls.Authorities])}");

            if (one.IsWebSocket)
                parts.Add("web socket");

            if (one.ProxyProtocol)
                parts.Add("proxy");

            if (one.Versions is { } versions)
                parts.Add($"{versions}");

            yield return string.Join(' ', parts);

            if (one.Access is { } access)
                yield return $"{access.Name}: {string.Join(' ', ((string?[])[access.AllowAnonymous ? "anonymous" : null, access.PasswordFile, access.AclFile]).OfType<string>())}";
        }

        foreach (var (name, value) in request.Limits)
            yield return string.Create(CultureInfo.InvariantCulture, $"{name} {value}");

        yield return $"password {request.PasswordFile}";
        yield return $"acl {request.MosquittoAclFile}";
        yield return $"QoS {request.MaximumQoS}";
        yield return $"log {request.LogLevel}";
        yield return request.AllowAnonymous ? "anonymous" : "named";
        yield return request.IdentityIsUserName ? "identity" : "";
        yield return request.AssignsClientIds ? "" : "no identifiers";
        yield return request.RetainAvailable ? "" : "no retained";
        yield return request.QueuesQoS0 ? "queues QoS 0" : "";
        yield return $"$SYS {request.SystemTopicsInterval?.TotalSeconds}";
    }

    private static int FreePort()
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)probe.LocalEndPoint!).Port;
    }

    private static Task<MqttClient> ConnectAsync(Uri server, string name, string password, string? authority)
    {
        var options = MqttClientOptions.For(server);
        options.Credentials = MqttCredentials.Of(name, password);
        options.Reconnect = null;

        if (authority is not null)
            options.Tls.CertificateAuthorities.ImportFromPemFile(authority);

        return MqttClient.ConnectAsync(options);
    }

    // With authentication of one kind or another, so that a broker can be started with it.
    private (BrokerRequest Request, IReadOnlyList<string> Told) Read(string text)
    {
        var isWhole = text.Length == 0 || text.Contains("allow_anonymous", StringComparison.Ordinal) || text.Contains("identity", StringComparison.Ordinal);
        var path = Write("mosquitto.conf", $"# a comment\n{text}\n{(isWhole ? "" : "allow_anonymous true")}\n");
        var request = new BrokerRequest();
        return (request, MosquittoConfiguration.Apply(path, request));
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(folder, name);
        File.WriteAllText(path, text);
        return path;
    }
}
