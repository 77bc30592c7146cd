namespace Mqtt5.Benchmarks;

/// <summary>What a load gave.</summary>
/// <param name="Delivered">Messages delivered a second.</param>
/// <param name="Published">Messages published a second.</param>
/// <param name="Median">The latency that half of the messages had at most, in milliseconds.</param>
/// <param name="Percentile99">The latency that 99 of 100 messages had at most, in milliseconds.</param>
/// <param name="Percentile999">The latency that 999 of 1,000 messages had at most, in milliseconds.</param>
/// <param name="ProcessorSeconds">What the generator took of its processor, in seconds.</param>
internal sealed record LoadResult(
    double Delivered, double Published, double Median, double Percentile99, double Percentile999, double ProcessorSeconds);
