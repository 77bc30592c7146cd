using System.Diagnostics;
using System.Text;

namespace Mqtt5.CSharp.Tests;

public sealed class ProcessTests
{
    [Fact]
    public async Task The_process_decodes_its_arguments()
    {
        var run = await CommandRun.AsProcessAsync([], "decode", "C000", "d0 00");
        Assert.Equal("[c>s] PINGREQ\n[s>c] PINGRESP\n", run.Output);
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.ExitCode);
    }

    [Fact]
    public async Task The_process_decodes_its_input_and_tells_faults_and_bad_usage_apart()
    {
        var fault = await CommandRun.AsProcessAsync([0xC0, 0x01, 0x00], "decode");
        Assert.Contains("reason  0x81 Malformed Packet", fault.Output, StringComparison.Ordinal);
        Assert.Equal(1, fault.ExitCode);

        var usage = await CommandRun.AsProcessAsync(Encoding.ASCII.GetBytes("not hex"), "decode");
        Assert.StartsWith("mqtt5: standard input, taken as hexadecimal text, line 1, column 1: 'n'", usage.Error, StringComparison.Ordinal);
        Assert.Equal(2, usage.ExitCode);
    }

    [Fact]
    public async Task A_reader_that_leaves_ends_the_process_without_a_word()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a console of Windows does not tell that nobody reads");
        using var process = CommandRun.Start("decode");
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var packets = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("C000\n", 1000)));

        // Without end: only the closed output can end it.
        var writing = Task.Run(async () =>
        {
            try
            {
                while (true)
                {
                    await process.StandardInput.BaseStream.WriteAsync(packets);
                }
            }
            catch (IOException)
            {
                // The process has ended.
            }
        }, TestContext.Current.CancellationToken);

        Assert.Equal("[c>s] PINGREQ", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
        process.StandardOutput.Close();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        await writing;
        Assert.Equal("", await error);
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public async Task What_arrived_is_shown_before_the_rest_arrives()
    {
        using var process = CommandRun.Start("decode");
        await process.StandardInput.BaseStream.WriteAsync(new byte[] { 0xC0, 0x00, 0xD0, 0x00, 0x40 }, TestContext.Current.CancellationToken);
        await process.StandardInput.BaseStream.FlushAsync(TestContext.Current.CancellationToken);
        Assert.Equal("[c>s] PINGREQ", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
        Assert.Equal("[s>c] PINGRESP", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
        process.StandardInput.Close();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, process.ExitCode);
    }

    [Theory]
    [InlineData("INT", "broker", "--port", "0")]
    [InlineData("TERM", "broker", "--port", "0")]
    [InlineData("INT", "trace", "--listen", "0", "mqtt://127.0.0.1:1")]
    [InlineData("TERM", "trace", "--listen", "0", "mqtt://127.0.0.1:1")]
    public async Task A_verb_that_works_until_it_is_told_to_stop_ends_well(string signal, params string[] arguments)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there are no signals to send");

        // Several times: what takes the signal and what ends the verb are different threads.
        for (var time = 0; time < 3; time++)
        {
            using var process = CommandRun.Start(arguments);
            var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            Assert.StartsWith("listening ", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
            using var kill = Process.Start("kill", [$"-{signal}", $"{process.Id}"]);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
            Assert.Equal("", await error);
            Assert.Equal(0, process.ExitCode);
        }
    }

    [Fact]
    public async Task A_verb_that_waits_for_its_input_ends_when_it_is_interrupted()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there are no signals to send");
        using var process = CommandRun.Start("decode");
        await process.StandardInput.BaseStream.WriteAsync(new byte[] { 0xC0, 0x00, 0xD0, 0x00 }, TestContext.Current.CancellationToken);
        await process.StandardInput.BaseStream.FlushAsync(TestContext.Current.CancellationToken);
        Assert.Equal("[c>s] PINGREQ", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
        using var kill = Process.Start("kill", ["-INT", $"{process.Id}"]);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal("", await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        Assert.Equal(130, process.ExitCode);
    }
}
