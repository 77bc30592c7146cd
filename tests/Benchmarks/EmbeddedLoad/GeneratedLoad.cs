using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Mqtt5.Benchmarks;

/// <summary>The generator of the loads of the broker, at idle priority (<c>SCHED_IDLE</c>).</summary>
internal sealed class GeneratedLoad : ILoadBeside
{
    private readonly Process generator;
    private readonly Task<string> output;

    /// <param name="tools">Where the generator is.</param>
    /// <param name="load">What it does, in its own arguments.</param>
    /// <param name="port">Where the broker listens.</param>
    /// <param name="seconds">How long it lasts.</param>
    public GeneratedLoad(LoadTools tools, string[] load, int port, int seconds)
    {
        generator = Process.Start(new ProcessStartInfo(
            "chrt",
            ["--idle", "0", tools.Generator, "--port", Text(port), .. load, "--size", "16", "--for", Text(seconds)])
        {
            RedirectStandardOutput = true,
        })!;
        output = generator.StandardOutput.ReadToEndAsync();
    }

    public double Finish()
    {
        generator.WaitForExit();

        if (generator.ExitCode != 0)
            throw new InvalidOperationException($"the load failed: {output.Result}");

        using var json = JsonDocument.Parse(output.Result);
        return json.RootElement.GetProperty("delivered_s").GetDouble();
    }

    public void Dispose() => generator.Dispose();

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
