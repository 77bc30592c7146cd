using Mqtt5.Cli;

namespace Mqtt5.CliTests;

// One executable under the names of mosquitto's clients, and their configuration files.
public sealed class LinkTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>, IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-links-").FullName;
    private readonly string home = Directory.CreateTempSubdirectory("mqtt5-home-").FullName;

    public void Dispose()
    {
        Directory.Delete(folder, recursive: true);
        Directory.Delete(home, recursive: true);
    }

    [Fact]
    public async Task Links_with_the_names_of_mosquittos_clients_are_these()
    {
        LinkAll();
        var run = await Script.RunAsync(
            """
            $folder/mosquitto_pub -p $port -t linked -m hello -r && $folder/mosquitto_sub -p $port -t linked -C 1 -v &&
            $folder/mosquitto_rr -p $port -t ask -e linked -m x -W 20; $folder/mosquitto_sub; echo $?; $folder/mqtt5 pub -p $port -t a -m b
            """,
            fixture.Port,
            folder);
        Assert.Equal("linked hello\nhello\n1\n", run.Output);
        Assert.Equal("mqtt5: give a topic to subscribe to, with -t\n", run.Error);
    }

    [Fact]
    public async Task A_linked_subscriber_ends_with_the_process_that_started_it()
    {
        LinkAll();
        var run = await Script.RunAsync(
            """
            $folder/mosquitto_sub -p $port -t never & pid=$!
            sleep 2; tr '\0' ' ' </proc/$pid/cmdline | grep -c mosquitto_sub; kill -TERM $pid; wait $pid; echo $?
            """,
            fixture.Port,
            folder);
        Assert.Equal("1\n0\n", run.Output);
    }

    [Theory]
    [InlineData("mosquitto_pub", "mosquitto_pub")]
    [InlineData("mqtt5_pub", "mqtt5 pub")]
    public async Task Options_that_are_always_wanted_stand_in_a_file(string file, string command)
    {
        LinkAll();
        await File.WriteAllTextAsync(Path.Combine(home, file), $"# ours\n-p {fixture.Port}\n\n-t from/file\r\n--retain\n-D publish user-property k v w\n");
        var environment = new Dictionary<string, string> { ["XDG_CONFIG_HOME"] = home };
        var run = await Script.RunAsync($"$folder/{command} -m one && $folder/{command} -m two -t from/line", null, folder, environment);
        Assert.Equal("", run.Error);
        Assert.Equal("one k:v w\n", (await fixture.RunAsync("sub", "-t", "from/file", "-C", "1", "-F", "%p %P")).Output);
        Assert.Equal("two\n", (await fixture.RunAsync("sub", "-t", "from/line", "-C", "1")).Output);
        var withoutXdg = new Dictionary<string, string> { ["XDG_CONFIG_HOME"] = "", ["HOME"] = home };
        Directory.CreateDirectory(Path.Combine(home, ".config"));
        File.Move(Path.Combine(home, file), Path.Combine(home, ".config", file));
        Assert.Equal(0, (await Script.RunAsync($"$folder/{command} -m three", null, folder, withoutXdg)).ExitCode);
        Assert.Equal("three\n", (await fixture.RunAsync("sub", "-t", "from/file", "-C", "1")).Output);
    }

    [Fact]
    public void A_configuration_file_is_read_line_by_line()
    {
        Assert.Equal(
            ["-h", "a b", "-m", "x  y", "-r", "-D", "publish", "content-type", "text/plain x", "-D", "connect", "user-property", "k", "v w"],
            ConfigurationFile.Parse("-h a b\n#-p 1\n-m x  y\n-r\n\n-D publish content-type text/plain x\n-D connect user-property k v w"u8));
    }

    private void LinkAll()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links have to end with .exe");
        var program = Path.ChangeExtension(CommandProcess.Assembly, null);
        Assert.True(File.Exists(program), program);

        foreach (var name in (string[])["mosquitto_pub", "mosquitto_sub", "mosquitto_rr", "mqtt5"])
            File.CreateSymbolicLink(Path.Combine(folder, name), program);
    }
}
