using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Tests.ServiceDefaults;

public sealed class ShutdownTimeoutTests
{
    [Theory]
    [InlineData(null, 30)]
    [InlineData("00:00:05", 5)]
    public async Task The_host_has_the_configured_time_to_stop(string? value, int seconds)
    {
        await using TestHost host = await TestHost.StartAsync(new() { ["Fanfare:ShutdownTimeout"] = value });

        HostOptions options = host.Application.Services.GetRequiredService<IOptions<HostOptions>>().Value;
        Assert.Equal(TimeSpan.FromSeconds(seconds), options.ShutdownTimeout);
    }

    [Theory]
    [InlineData("soon")]
    [InlineData("00:00:00")]
    [InlineData("-00:00:01")]
    [InlineData("30")] // thirty days, which nobody meant
    public async Task A_wrong_value_stops_the_start_with_its_key(string value)
    {
        await using WebApplication application = TestHost.Build(new() { ["Fanfare:ShutdownTimeout"] = value });

        OptionsValidationException exception = await Assert.ThrowsAsync<OptionsValidationException>(
            () => application.StartAsync(TestContext.Current.CancellationToken));
        Assert.Contains("Fanfare:ShutdownTimeout", exception.Message, StringComparison.Ordinal);
    }
}
