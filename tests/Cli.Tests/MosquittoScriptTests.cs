using System.Diagnostics;
using Mqtt5.Tests;

namespace Mqtt5.CliTests;

// One script, once with mosquitto's clients and once with mqtt5 under their names.
public sealed class MosquittoScriptTests : IDisposable
{
    private static readonly string[] Names = ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"];
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-shims-").FullName;

    [Fact]
    [ShowsOption("pub", "--topic", "--message", "--file", "--stdin-line", "--stdin-file", "--null-message", "--qos", "--retain", "--repeat")]
    [ShowsOption("sub", "--topic", "--filter-out", "--unsubscribe", "--count", "--timeout", "--no-retained", "--retained-only")]
    [ShowsOption("sub", "--remove-retained", "--format", "--verbose", "--no-newline", "--pretty")]
    [ShowsOption("rr", "--topic", "--message", "--response-topic", "--timeout", "--verbose")]
    public async Task A_script_for_mosquittos_clients_gives_the_same_with_mqtt5()
    {
        if (!Array.TrueForAll(Names, name => Folders().Any(place => File.Exists(Path.Combine(place, name)))))
        {
            // Where the whole project is checked, a peer that is missing is a failure.
            Assert.False(Environment.GetEnvironmentVariable("CI") == "true", "mosquitto's clients are not installed");
            Assert.Skip("mosquitto's clients are not installed");
        }

        foreach (var (name, verb) in Names.Zip(["pub", "sub", "rr"]))
        {
            var shim = Path.Combine(folder, name);
            await File.WriteAllTextAsync(shim, $"#!/bin/bash\nexec dotnet '{CommandProcess.Assembly}' {verb} \"$@\"\n");

            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(shim, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        var path = Environment.GetEnvironmentVariable("PATH");
        string[] parts = ["messages", "usage"];
        var theirs = Task.WhenAll(parts.Select(part => RunAsync(part, path!)));
        var ours = await Task.WhenAll(parts.Select(part => RunAsync(part, $"{folder}:{path}")));
        var steps = ours.Sum(part => part.Count(step => step.StartsWith("== ", StringComparison.Ordinal)));
        Assert.True(steps >= 80, $"{steps} command lines ran");

        foreach (var (expected, actual) in (await theirs).Zip(ours))
            Assert.Equal(expected, actual);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static string[] Folders() => Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator);

    // The steps, each with its output and its exit code, of a script with a broker of its own.
    private static async Task<string[]> RunAsync(string part, string path)
    {
        await using var broker = await BrokerFixture.StartAsync(options => options.Listen(0));
        var start = new ProcessStartInfo("bash", [Path.Combine(AppContext.BaseDirectory, "mosquitto.sh")])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment["PATH"] = path;
        start.Environment["PORT"] = $"{broker.Addresses[0].Port}";
        start.Environment["PART"] = part;
        start.Environment["LC_ALL"] = "C.UTF-8";
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        // Only against a hanging script: more than a hundred processes take minutes when other tests run in parallel.
        var output = await process.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(900));
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
        return [.. output.Replace("== ", "\u0001== ", StringComparison.Ordinal).Split('\u0001').Select(step => step.Replace(start.Environment["PORT"]!, "PORT", StringComparison.Ordinal))];
    }
}
